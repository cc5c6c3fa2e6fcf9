/*
 * The arithmetic of arithmetic.cc: void arithmetic_UNIT(struct State *, long count)
 *
 * Loads every register from the state, makes `count` steps in registers alone, and stores them.
 * A step can be undone, so that it forgets no bit of any register: each vector register is added to
 * an accumulator, which is turned and mixed back into it. Between the vector instructions the values
 * on the x87 stack follow x = 3.99 * x * (1 - x). Both units round in a way of their own.
 */
    .set X87, 2048      /* offsets in State: arithmetic.cc checks them */
    .set MASKS, 2160
    .set MXCSR, 2176
    .set CONTROL_WORD, 2180

    .section .rodata
    .balign 8
growth:
    .double 3.99
odd_mxcsr:
    .long 0x7f80        /* towards zero */
usual_mxcsr:
    .long 0x1f80
odd_control_word:
    .word 0x0b7f        /* up, 64 bits of precision */
usual_control_word:
    .word 0x037f

    .macro LOAD_X87
    fldcw odd_control_word(%rip)
    ldmxcsr odd_mxcsr(%rip)
    .irp i, 0,1,2,3,4,5,6
    fldt X87+16*\i(%rdi)
    .endr
    .endm

    .macro STORE_X87
    .irp i, 6,5,4,3,2,1,0
    fstpt X87+16*\i(%rdi)
    .endr
    stmxcsr MXCSR(%rdi)
    fnstcw CONTROL_WORD(%rdi)
    fldcw usual_control_word(%rip)
    ldmxcsr usual_mxcsr(%rip)
    .endm

/* A step of the value on top, in three pieces to put between others; then another comes on top. */
    .macro X87_BEGIN
    fld1
    fsub %st(1), %st
    .endm
    .macro X87_GO_ON
    fmulp %st, %st(1)
    .endm
    .macro X87_END
    fmull growth(%rip)
    fxch %st(5)
    .endm

    .text

/* The accumulator is register 15. */
    .globl arithmetic_sse2
    .type arithmetic_sse2, @function
arithmetic_sse2:
    LOAD_X87
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movdqa 64*\i(%rdi), %xmm\i
    .endr
1:
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14
    paddq %xmm\i, %xmm15
    X87_BEGIN
    pshufd $0x93, %xmm15, %xmm15
    X87_GO_ON
    pxor %xmm15, %xmm\i
    X87_END
    .endr
    fxch %st(3)
    dec %rsi
    jnz 1b
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movdqa %xmm\i, 64*\i(%rdi)
    .endr
    STORE_X87
    ret
    .size arithmetic_sse2, . - arithmetic_sse2

/* Likewise. */
    .globl arithmetic_avx2
    .type arithmetic_avx2, @function
arithmetic_avx2:
    LOAD_X87
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqa 64*\i(%rdi), %ymm\i
    .endr
1:
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14
    vpaddq %ymm\i, %ymm15, %ymm15
    X87_BEGIN
    vpermq $0x39, %ymm15, %ymm15
    X87_GO_ON
    vpxor %ymm15, %ymm\i, %ymm\i
    X87_END
    vpshufd $0x93, %ymm15, %ymm15
    .endr
    fxch %st(3)
    dec %rsi
    jnz 1b
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqa %ymm\i, 64*\i(%rdi)
    .endr
    vzeroupper
    STORE_X87
    ret
    .size arithmetic_avx2, . - arithmetic_avx2

/*
 * The accumulator is register 31. Mask 1, which is never the same, says which of its lanes turn;
 * mask 2 is there to help.
 */
    .globl arithmetic_avx512
    .type arithmetic_avx512, @function
arithmetic_avx512:
    LOAD_X87
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovdqa64 64*\i(%rdi), %zmm\i
    .endr
    .irp i, 0,1,2,3,4,5,6,7
    kmovw MASKS+2*\i(%rdi), %k\i
    .endr
1:
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    vpaddq %zmm\i, %zmm31, %zmm31
    X87_BEGIN
    vprolq $11, %zmm31, %zmm31 {%k1}
    X87_GO_ON
    vpxorq %zmm31, %zmm\i, %zmm\i
    X87_END
    valignq $3, %zmm31, %zmm31, %zmm31
    .endr
    kshiftlw $5, %k1, %k2
    kxorw %k2, %k1, %k1
    .irp i, 3,4,5,6,7,0
    kxorw %k1, %k\i, %k1
    kshiftrw $7, %k1, %k2
    kxorw %k2, %k1, %k1
    kxorw %k1, %k\i, %k\i
    kshiftlw $3, %k\i, %k2
    kxorw %k2, %k\i, %k\i
    .endr
    fxch %st(3)
    dec %rsi
    jnz 1b
    .irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vmovdqa64 %zmm\i, 64*\i(%rdi)
    .endr
    .irp i, 0,1,2,3,4,5,6,7
    kmovw %k\i, MASKS+2*\i(%rdi)
    .endr
    vzeroupper
    STORE_X87
    ret
    .size arithmetic_avx512, . - arithmetic_avx512

    .section .note.GNU-stack, "", @progbits
