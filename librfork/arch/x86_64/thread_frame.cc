// The XSAVE area came in the layout of the CPU that froze it. Offsets of the components differ
// between CPUs, and a frame larger than this kernel's own makes it restore x87 and SSE only,
// without a word; so the area is laid out anew for CPUID leaf 0xD of this CPU.
#include "arch/x86_64/thread_frame.h"

#include <asm/unistd.h>
#include <cstring>
#include <linux/errno.h>

namespace rfork::arch {
namespace {

// AMX needs the kernel's permission before its registers may be loaded (Linux 5.16).
FrameError ask_for_amx() {
    constexpr int arch_req_xcomp_perm = 0x1023, tile_data = 18;
    if (long r = syscall(__NR_arch_prctl, arch_req_xcomp_perm, tile_data); r < 0)
        return {int(-r), "this kernel does not permit the AMX registers that the program uses"};
    return {};
}

FrameError refit_xstate(const FrameContent& thread, bool xsave, std::uint64_t xcr0,
                        std::uint8_t* to, std::uint64_t room) {
    const std::uint8_t* from = thread.xstate;
    std::uint64_t in_use = xstate_in_use(from, thread.layout);
    if (!(xcr0 & xstate_pkru))
        in_use &= ~xstate_pkru;
    if (in_use & xstate_amx)
        if (FrameError e = ask_for_amx(); e.error)
            return e;
    // A frame may be smaller than the kernel's: it has what is in use, and the rest comes back in
    // its initial state.
    XstateComponent layout[xstate_components];
    const std::uint32_t size = xstate_layout(in_use, layout);
    if (size + sizeof fp_xstate_magic2 > room)
        return {EOPNOTSUPP, "this CPU has more vector state than rfork has room for"};

    memset(to, 0, room);
    memcpy(to, from, 464); // x87 and SSE, up to the software-reserved bytes
    *reinterpret_cast<std::uint64_t*>(to + xstate_bv_offset) = in_use;
    for (unsigned i = 2; i < xstate_components; ++i) {
        if (!(in_use >> i & 1))
            continue;
        if (layout[i].size == 0 || layout[i].size != thread.layout[i].size)
            return {EOPNOTSUPP,
                    "this CPU has other vector registers than those the program holds values in"};
        memcpy(to + layout[i].offset, from + thread.layout[i].offset, layout[i].size);
    }
    if (!xsave)
        return {}; // a plain FXSAVE frame
    auto* software = reinterpret_cast<FpxSoftwareBytes*>(to + xstate_xcr0_offset);
    software->magic1 = fp_xstate_magic1;
    software->extended_size = size + sizeof fp_xstate_magic2;
    software->xfeatures = in_use | 3; // x87 and SSE are always there
    software->xstate_size = size;
    *reinterpret_cast<std::uint32_t*>(to + size) = fp_xstate_magic2;
    return {};
}

} // namespace

FrameError build_frame(const FrameContent& thread, bool xsave, std::uint64_t xcr0,
                       std::uint8_t* xstate, std::uint64_t room, SignalFrame& f) {
    memset(&f, 0, sizeof f);
    if (FrameError e = refit_xstate(thread, xsave, xcr0, xstate, room); e.error)
        return e;

    const Registers& r = thread.registers;
    SignalContext& c = f.uc_mcontext;
    c.r8 = r.r8, c.r9 = r.r9, c.r10 = r.r10, c.r11 = r.r11;
    c.r12 = r.r12, c.r13 = r.r13, c.r14 = r.r14, c.r15 = r.r15;
    c.rdi = r.rdi, c.rsi = r.rsi, c.rbp = r.rbp, c.rbx = r.rbx;
    c.rdx = r.rdx, c.rax = r.rax, c.rcx = r.rcx, c.rsp = r.rsp;
    c.rip = r.rip, c.eflags = r.eflags;
    c.cs = std::uint16_t(r.cs), c.ss = std::uint16_t(r.ss);
    c.fpstate = reinterpret_cast<std::uint64_t>(xstate);

    f.uc_flags = uc_sigcontext_ss | uc_strict_restore_ss;
    if (xsave)
        f.uc_flags |= uc_fp_xstate;
    f.uc_stack = thread.altstack;
    f.uc_sigmask = thread.signal_mask;
    return {};
}

long set_segment_bases(const Registers& registers) {
    constexpr int set_gs = 0x1001, set_fs = 0x1002;
    const long r = syscall(__NR_arch_prctl, set_fs, registers.fs_base);
    return r < 0 ? r : syscall(__NR_arch_prctl, set_gs, registers.gs_base);
}

} // namespace rfork::arch
