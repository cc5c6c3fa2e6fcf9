// The first instructions of ours in a process that is frozen from outside, copied to where they
// disturb nobody (traced/foothold.h): one system call, whose registers the tracer has set. Its
// result stays in rbx. Then the thread waits to be put back to where it was, and after the time at
// r12 goes back by itself, through the signal frame at r13. The stack is below all that, for
// handlers: where the tracer is killed between two requests, the thread has its own signal mask here.
    .section .rodata
    .globl rfork_foothold
    .globl rfork_foothold_done
    .globl rfork_foothold_end
    .hidden rfork_foothold
    .hidden rfork_foothold_done
    .hidden rfork_foothold_end
    .balign 16
rfork_foothold:
    syscall
rfork_foothold_done:
    mov     %rax, %rbx
    xor     %edi, %edi
    xor     %esi, %esi
    xor     %edx, %edx
    xor     %r10d, %r10d
    mov     %r12, %r8
    xor     %r9d, %r9d
    mov     $270, %eax                  // pselect6, which leaves the kernel's memory of an
    syscall                             // interrupted call alone
    mov     %r13, %rsp
    mov     $15, %eax                   // rt_sigreturn
    syscall
rfork_foothold_end:

// The same in a twin, which ends as soon as nobody holds it.
    .globl rfork_twin_call
    .globl rfork_twin_call_end
    .hidden rfork_twin_call
    .hidden rfork_twin_call_end
rfork_twin_call:
    syscall
    mov     $231, %eax                  // exit_group
    xor     %edi, %edi
    syscall
rfork_twin_call_end:
    .section .note.GNU-stack, "", @progbits
