// long rfork_clone_helper(flags, stack_top, parent_tid, child_tid, function, argument): clone(2) of a
// process that shares memory and begins with function(argument) on a stack of its own.
    .text
    .globl rfork_clone_helper
    .hidden rfork_clone_helper
    .type rfork_clone_helper, @function
rfork_clone_helper:
    .cfi_startproc
    mov     %rcx, %r10                  // child_tid is the fourth argument of the system call
    push    %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    push    %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    mov     %r8, %r12
    mov     %r9, %r13
    xor     %r8d, %r8d
    mov     $56, %eax                   // clone
    syscall
    test    %rax, %rax
    jz      1f
    pop     %r13
    .cfi_adjust_cfa_offset -8
    pop     %r12
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
1:  .cfi_startproc
    .cfi_undefined rip
    xor     %ebp, %ebp
    mov     %r13, %rdi
    call    *%r12
    ud2
    .cfi_endproc
    .size rfork_clone_helper, . - rfork_clone_helper

    .section .note.GNU-stack, "", @progbits
