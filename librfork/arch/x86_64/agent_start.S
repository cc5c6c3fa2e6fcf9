// The entries of the agent's code (agent/agent.h), and how a thread goes back that nobody fetches.
//
// Its order begins with the address of its signal frame and the time it is to wait. It comes on its
// own stack, and leaves on it: where the tracer is killed between two of its requests, the thread has
// its own signal mask here, and the stacks in the room are too small for handlers.
    .section .text.start, "ax", @progbits
    .globl agent_start
    .type agent_start, @function
agent_start:
    lea     agent_main(%rip), %r13
    jmp     begin
    .org agent_start + 16               // agent::thread_entry
    lea     agent_thread(%rip), %r13
    jmp     begin
    .org agent_start + 32               // agent::way_back
go_back:
    mov     (%rbx), %rsp
    add     $8, %rsp                    // as if the handler had returned through pretcode
    mov     $15, %eax                   // rt_sigreturn
    syscall
    ud2
begin:
    mov     %rdi, %rbx
    mov     %rsi, %r12
    mov     $2, %edi                    // SIG_SETMASK
    lea     all_signals(%rip), %rsi
    xor     %edx, %edx
    mov     $8, %r10d
    mov     $14, %eax                   // rt_sigprocmask
    syscall
    mov     %r12, %rsp
    xor     %ebp, %ebp
    mov     %rbx, %rdi
    call    *%r13
// pselect6(2): of the calls that wait for a time it is the one that leaves the kernel's memory of an
// interrupted call alone, and it writes to its time-out only.
    xor     %edi, %edi
    xor     %esi, %esi
    xor     %edx, %edx
    xor     %r10d, %r10d
    lea     8(%rbx), %r8
    xor     %r9d, %r9d
    mov     $270, %eax
    syscall
    jmp     go_back
    .balign 8
all_signals:
    .quad   -1
    .size agent_start, . - agent_start
    .section .note.GNU-stack, "", @progbits
