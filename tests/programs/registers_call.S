/*
 * int call_with_registers(struct registers *in, struct registers *out, int (*function)(const char *),
 *                         const char *argument, int level)
 *
 * Loads every register that a function may find values in from `in`, calls function(argument), and
 * stores every one into `out`, with nothing compiled in between. level: 0 SSE, 1 AVX, 2 AVX-512.
 *
 * struct registers: 0 zmm[32], 2048 k[8], 2112 rbx rbp r12 r13 r14 r15, 2160 mxcsr, 2164 x87 control
 * word, 2168 how many of the following are loaded, 2176 x87[3], 2224 x87 as FNSAVE has it.
 */
        .text
        .globl  call_with_registers
        .type   call_with_registers, @function
call_with_registers:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        sub     $40, %rsp               /* 0 out, 8 level, 16 result, 24 mxcsr, 28 control word */
        mov     %rsi, (%rsp)
        mov     %r8d, 8(%rsp)
        stmxcsr 24(%rsp)
        fnstcw  28(%rsp)
        mov     %rdx, %r11
        mov     %rcx, %r10
        mov     %rdi, %rax

        cmp     $1, %r8d
        jb      1f
        je      2f
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   2048+8*\n(%rax), %k\n
        .endr
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovdqu64 64*\n(%rax), %zmm\n
        .endr
        jmp     3f
2:      .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovdqu 64*\n(%rax), %ymm\n
        .endr
        jmp     3f
1:      .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movdqu  64*\n(%rax), %xmm\n
        .endr
3:      cmpl    $0, 2168(%rax)
        je      4f
        fldt    2176(%rax)
        fldt    2192(%rax)
        fldt    2208(%rax)
4:      fldcw   2164(%rax)
        ldmxcsr 2160(%rax)
        mov     2112(%rax), %rbx
        mov     2120(%rax), %rbp
        mov     2128(%rax), %r12
        mov     2136(%rax), %r13
        mov     2144(%rax), %r14
        mov     2152(%rax), %r15
        mov     %r10, %rdi
        call    *%r11

        mov     %eax, 16(%rsp)
        mov     (%rsp), %rax
        mov     %rbx, 2112(%rax)
        mov     %rbp, 2120(%rax)
        mov     %r12, 2128(%rax)
        mov     %r13, 2136(%rax)
        mov     %r14, 2144(%rax)
        mov     %r15, 2152(%rax)
        stmxcsr 2160(%rax)
        fnstcw  2164(%rax)
        fnsave  2224(%rax)              /* and initialises the x87 */
        cmpl    $1, 8(%rsp)
        jb      1f
        je      2f
        .irp    n, 0,1,2,3,4,5,6,7
        kmovq   %k\n, 2048+8*\n(%rax)
        .endr
        .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovdqu64 %zmm\n, 64*\n(%rax)
        .endr
        vzeroupper
        jmp     3f
2:      .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovdqu %ymm\n, 64*\n(%rax)
        .endr
        vzeroupper
        jmp     3f
1:      .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movdqu  %xmm\n, 64*\n(%rax)
        .endr
3:      ldmxcsr 24(%rsp)
        fldcw   28(%rsp)
        mov     16(%rsp), %eax
        add     $40, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
        .size   call_with_registers, . - call_with_registers
        .section .note.GNU-stack, "", @progbits
