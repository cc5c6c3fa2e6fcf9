// The entries of the agent's code (agent/agent.h), and how a thread goes back that nobody fetches.
//
// Its order begins with the address of its signal frame and the time it is to wait.
    .section .text.start, "ax", @progbits
    .globl agent_start
    .type agent_start, @function
agent_start:
    mov     %rdi, %rbx
    xor     %ebp, %ebp
    call    agent_main
    jmp     agent_hold
    .org agent_start + 32               // agent::thread_entry
agent_thread_start:
    mov     %rdi, %rbx
    xor     %ebp, %ebp
    call    agent_thread
// pselect6(2): of the calls that wait for a time it is the one that leaves the kernel's memory of an
// interrupted call alone, and it writes to its time-out only.
agent_hold:
    xor     %edi, %edi
    xor     %esi, %esi
    xor     %edx, %edx
    xor     %r10d, %r10d
    lea     8(%rbx), %r8
    xor     %r9d, %r9d
    mov     $270, %eax
    syscall
    mov     (%rbx), %rsp
    add     $8, %rsp                    // as if the handler had returned through pretcode
    mov     $15, %eax                   // rt_sigreturn
    syscall
    ud2
    .size agent_start, . - agent_start
    .section .note.GNU-stack, "", @progbits
