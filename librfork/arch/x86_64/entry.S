// rfork() and rfork_checkpoint(): the part that has to be assembly.
//
// By the ABI the caller expects only callee-saved registers back, but a call that claims that
// nothing has happened keeps the vector and x87 registers too, in the caller and in the copy; both
// are saved here before any compiled code can touch them. The frozen registers are those of the
// moment of the call, with rip at rfork_landing: that is where the copy wakes up, and where gdb
// finds it, one return away from the caller.
#include "arch/x86_64/offsets.h"

    .text

    .macro ENTRY name operation options=none
    .globl \name
    .type \name, @function
\name:
    .cfi_startproc
    endbr64
    .ifc \options, none
    xor     %esi, %esi
    .endif
    mov     $\operation, %edx
    cmpl    $0, rfork_handler_count(%rip)
    jne     rfork_call_with_handlers
    jmp     rfork_enter
    .cfi_endproc
    .size \name, . - \name
    .endm

    ENTRY rfork 0
    ENTRY rfork_checkpoint 1
    ENTRY rfork_move 2
    ENTRY rfork_with 0 options=given
    ENTRY rfork_checkpoint_with 1 options=given

    .globl rfork_enter
    .hidden rfork_enter
    .type rfork_enter, @function
rfork_enter:                            // rdi: argument, rsi: options or 0, edx: operation
    .cfi_startproc
    push    %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    mov     %rsp, %rbp
    .cfi_def_cfa_register rbp
    push    %rbx
    .cfi_offset rbx, -24
    push    %r12
    .cfi_offset r12, -32
    push    %r13
    .cfi_offset r13, -40
    push    %r14
    .cfi_offset r14, -48
    mov     %rdi, %r12
    mov     %rsi, %r13
    mov     %edx, %r14d
    and     $-16, %rsp
    call    rfork_session_create        // uses general registers only
    test    %rax, %rax
    jz      2f

    mov     %rax, %rbx
    mov     %r15, REG_R15(%rbx)
    mov     -32(%rbp), %rax             // r14, r13, r12, rbx, rbp as they were on entry
    mov     %rax, REG_R14(%rbx)
    mov     -24(%rbp), %rax
    mov     %rax, REG_R13(%rbx)
    mov     -16(%rbp), %rax
    mov     %rax, REG_R12(%rbx)
    mov     -8(%rbp), %rax
    mov     %rax, REG_RBX(%rbx)
    mov     (%rbp), %rax
    mov     %rax, REG_RBP(%rbx)
    lea     8(%rbp), %rax               // at the return address
    mov     %rax, REG_RSP(%rbx)
    lea     rfork_landing(%rip), %rax
    mov     %rax, REG_RIP(%rbx)
    pushfq
    pop     %rax
    mov     %rax, REG_EFLAGS(%rbx)

    cmpq    $0, SESSION_USES_XSAVE(%rbx)
    je      3f
    xor     %ecx, %ecx
    xgetbv                              // edx:eax = every component user space may use
    xsave64 SESSION_XSTATE(%rbx)
    jmp     4f
3:  fxsave64 SESSION_XSTATE(%rbx)
4:
    mov     SESSION_STACK_TOP(%rbx), %rsp
    mov     %rbx, %rdi
    mov     %r12, %rsi
    mov     %r13, %rdx
    mov     %r14d, %ecx
    cld
    call    rfork_session_run
    mov     %eax, %r12d

    cmpq    $0, SESSION_USES_XSAVE(%rbx)
    je      5f
    xor     %ecx, %ecx
    xgetbv
    xrstor64 SESSION_XSTATE(%rbx)
    jmp     6f
5:  fxrstor64 SESSION_XSTATE(%rbx)
6:
    lea     -32(%rbp), %rsp
    and     $-16, %rsp
    mov     %rbx, %rdi
    call    rfork_session_destroy       // uses general registers only
    mov     %r12d, %eax
1:  lea     -32(%rbp), %rsp
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbx
    pop     %rbp
    .cfi_remember_state
    .cfi_def_cfa rsp, 8
    ret
    .cfi_restore_state

2:  call    rfork_session_failed
    jmp     1b
    .cfi_endproc
    .size rfork_enter, . - rfork_enter

// The copy's first instruction, and all that is left of us there: rsp is at the return address of
// the call, rdi and rsi say where the stub was; rdx and rcx, where the other threads' frames are.
    .globl rfork_landing
    .hidden rfork_landing
    .type rfork_landing, @function
rfork_landing:
    .cfi_startproc
    test    %rdx, %rdx
    jz      2f
    mov     %rdi, %r8
    mov     %rsi, %r9
    mov     %rdx, %rdi                  // the counter
    mov     %rcx, 8+rfork_kept_frames(%rip)
1:  mov     (%rdi), %edx
    test    %edx, %edx
    jz      3f
    mov     $128, %esi                  // FUTEX_WAIT_PRIVATE
    xor     %r10d, %r10d                // for as long as it takes
    mov     $202, %eax                  // futex
    syscall
    jmp     1b
3:  mov     %rdi, rfork_kept_frames(%rip)
    mov     %r8, %rdi
    mov     %r9, %rsi
2:  mov     $11, %eax                   // munmap
    syscall
    xor     %eax, %eax
    xchg    %eax, rfork_call_lock(%rip) // others may call now (api/call_lock.cc)
    lea     rfork_call_lock(%rip), %rdi
    mov     $129, %esi                  // FUTEX_WAKE_PRIVATE
    mov     $0x7fffffff, %edx           // everybody
    mov     $202, %eax                  // futex
    syscall
    xor     %eax, %eax                  // RFORK_CHILD
    ret
    .cfi_endproc
    .size rfork_landing, . - rfork_landing

// The way of the other threads, from the stub: rdi is at the signal frame, or 0; rsi at the counter.
// Once that has been lowered, neither the stub's code nor its stack may be touched.
    .globl rfork_depart
    .hidden rfork_depart
    .type rfork_depart, @function
rfork_depart:
    .cfi_startproc
    .cfi_undefined rip
    lea     8(%rdi), %rsp               // as if the handler had returned through pretcode
    lock decl (%rsi)
    jnz     1f
    mov     %rdi, %r8
    mov     %rsi, %rdi
    mov     $129, %esi                  // FUTEX_WAKE_PRIVATE
    mov     $1, %edx
    mov     $202, %eax                  // futex
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
    .cfi_endproc
    .size rfork_depart, . - rfork_depart
    .globl rfork_depart_end
    .hidden rfork_depart_end
rfork_depart_end:

    .section .note.GNU-stack, "", @progbits
