// The frame that rt_sigreturn(2) takes a thread's state from: general registers, signal mask,
// alternate stack, and an XSAVE area that the kernel loads with XRSTOR. Layout as in Linux
// arch/x86/include/asm/sigframe.h and uapi/asm/sigcontext.h; all offsets are user-space ABI.
#pragma once

#include "arch/x86_64/machine.h"

namespace rfork::arch {

struct SignalContext {
    std::uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    std::uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    std::uint16_t cs, gs, fs, ss;
    std::uint64_t err, trapno, oldmask, cr2;
    std::uint64_t fpstate;
    std::uint64_t reserved[8];
};

struct AlternateStack {
    std::uint64_t sp;
    std::int32_t flags;
    std::uint32_t pad;
    std::uint64_t size;
};

struct SignalFrame {
    std::uint64_t return_address; // popped before rt_sigreturn is called
    std::uint64_t uc_flags;
    std::uint64_t uc_link;
    AlternateStack uc_stack;
    SignalContext uc_mcontext;
    std::uint64_t uc_sigmask;
    std::uint8_t siginfo[128];
};
static_assert(offsetof(SignalFrame, uc_mcontext) == 8 + 16 + 24);
static_assert(offsetof(SignalFrame, uc_sigmask) == 8 + 16 + 24 + 256);

inline constexpr std::uint64_t uc_fp_xstate = 1;
inline constexpr std::uint64_t uc_sigcontext_ss = 2;
inline constexpr std::uint64_t uc_strict_restore_ss = 4;

// The software-reserved bytes 464..511 of the legacy region tell the kernel that an extended area
// follows. If anything in them is off, the kernel silently restores x87 and SSE only: xstate_size
// must be no more than this kernel's own size for this thread.
struct FpxSoftwareBytes {
    std::uint32_t magic1;
    std::uint32_t extended_size;
    std::uint64_t xfeatures;
    std::uint32_t xstate_size;
    std::uint32_t padding[7];
};
static_assert(sizeof(FpxSoftwareBytes) == 48);

inline constexpr std::uint32_t fp_xstate_magic1 = 0x46505853;
inline constexpr std::uint32_t fp_xstate_magic2 = 0x46505845;

} // namespace rfork::arch
