// The first and the last instruction of the stub.
//
// The kernel enters at stub_start with the argument block on its own stack. The stub unmaps that
// stack later, so it moves at once to one of its own, near the end of its window.
#include "arch/x86_64/offsets.h"

    .section .text.start, "ax", @progbits
    .globl stub_start
    .type stub_start, @function
stub_start:
    mov     %rsp, %rdi                  // argc, argv, envp, auxv
    lea     stub_metadata(%rip), %rsi   // image::Header, mapped right behind the stub
    mov     HEADER_WINDOW_FRAMES(%rsi), %rsp
    xor     %ebp, %ebp
    call    stub_main
    ud2
    .size stub_start, . - stub_start

    .text
// [[noreturn]] void stub_leave(SignalFrame*): this thread becomes what the frame describes.
    .globl stub_leave
    .type stub_leave, @function
stub_leave:
    lea     8(%rdi), %rsp               // as if the handler had returned through pretcode
    mov     $15, %eax                   // rt_sigreturn
    syscall
    ud2
    .size stub_leave, . - stub_leave

// [[noreturn]] void stub_depart(departure, SignalFrame*, counter, start, size)
    .globl stub_depart
    .type stub_depart, @function
stub_depart:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    jmp     *%rax
    .size stub_depart, . - stub_depart

// The way of all threads of a program that has no code of ours, from where a copy of this stays with
// it. rdi is at the signal frame, or 0; rsi at the counter of those who have not left, in what the
// last of them unmaps: from rdx, r10 bytes.
    .globl stub_door
    .hidden stub_door
    .type stub_door, @function
stub_door:
    lea     8(%rdi), %rsp               // as if the handler had returned through pretcode
    lock decl (%rsi)
    jnz     1f
    mov     %rdi, %r8
    mov     %rdx, %rdi
    mov     %r10, %rsi
    mov     $11, %eax                   // munmap
    syscall
    mov     %r8, %rdi
1:  test    %rdi, %rdi
    jz      2f
    mov     $15, %eax                   // rt_sigreturn
    syscall
2:  xor     %edi, %edi
    mov     $60, %eax                   // exit
    syscall
    ud2
    .size stub_door, . - stub_door
    .globl stub_door_end
    .hidden stub_door_end
stub_door_end:

// long stub_clone(clone_args*, size, Stub*, ThreadRecord*, index)
    .globl stub_clone
    .type stub_clone, @function
stub_clone:
    mov     %rcx, %r10                  // the system call spares all but rax, rcx and r11
    mov     $435, %eax                  // clone3
    syscall
    test    %rax, %rax
    jz      1f
    ret
1:  mov     %rdx, %rdi
    mov     %r10, %rsi
    mov     %r8d, %edx
    xor     %ebp, %ebp
    call    stub_thread
    ud2
    .size stub_clone, . - stub_clone

    .section .note.GNU-stack, "", @progbits
