// From a frozen thread to the frame rt_sigreturn(2) wants, on the CPU that is here.
//
// The XSAVE area came in the layout of the CPU that froze it. Offsets of the components differ
// between CPUs, and a frame larger than this kernel's own makes it restore x87 and SSE only,
// without a word; so the area is laid out anew for CPUID leaf 0xD of this CPU.
#include "arch/x86_64/stub_frame.h"

#include <asm/unistd.h>
#include <cstring>
#include <linux/errno.h>

namespace rfork::stub {
namespace {

// AMX needs the kernel's permission before its registers may be loaded (Linux 5.16).
void ask_for_amx(const Stub& stub) {
    constexpr int arch_req_xcomp_perm = 0x1023, tile_data = 18;
    if (long r = arch::syscall(__NR_arch_prctl, arch_req_xcomp_perm, tile_data); r < 0)
        fail(stub, int(-r), "this kernel does not permit the AMX registers that the program uses");
}

void refit_xstate(const Stub& stub, const kinds::ThreadRecord& thread, std::uint8_t* to,
                  std::uint64_t room) {
    const std::uint8_t* from = thread.xstate();
    std::uint64_t in_use = arch::xstate_in_use(from, thread.layout);
    if (!(stub.xcr0 & arch::xstate_pkru))
        in_use &= ~arch::xstate_pkru;
    if (in_use & arch::xstate_amx)
        ask_for_amx(stub);
    // A frame may be smaller than the kernel's: it has what is in use, and the rest comes back in
    // its initial state.
    arch::XstateComponent layout[arch::xstate_components];
    const std::uint32_t size = arch::xstate_layout(in_use, layout);
    if (size + sizeof arch::fp_xstate_magic2 > room)
        fail(stub, EOPNOTSUPP, "this CPU has more vector state than rfork has room for");

    memset(to, 0, room);
    memcpy(to, from, 464); // x87 and SSE, up to the software-reserved bytes
    *reinterpret_cast<std::uint64_t*>(to + arch::xstate_bv_offset) = in_use;
    for (unsigned i = 2; i < arch::xstate_components; ++i) {
        if (!(in_use >> i & 1))
            continue;
        if (layout[i].size == 0 || layout[i].size != thread.layout[i].size)
            fail(stub, EOPNOTSUPP,
                 "this CPU has other vector registers than those the program holds values in");
        memcpy(to + layout[i].offset, from + thread.layout[i].offset, layout[i].size);
    }
    if (!stub.xsave)
        return; // a plain FXSAVE frame
    auto* software = reinterpret_cast<arch::FpxSoftwareBytes*>(to + arch::xstate_xcr0_offset);
    software->magic1 = arch::fp_xstate_magic1;
    software->extended_size = size + sizeof arch::fp_xstate_magic2;
    software->xfeatures = in_use | 3; // x87 and SSE are always there
    software->xstate_size = size;
    *reinterpret_cast<std::uint32_t*>(to + size) = arch::fp_xstate_magic2;
}

} // namespace

void build_frame(const Stub& stub, const kinds::ThreadRecord& thread, std::uint8_t* xstate,
                 std::uint64_t xstate_room, arch::SignalFrame& f) {
    memset(&f, 0, sizeof f);
    refit_xstate(stub, thread, xstate, xstate_room);

    const arch::Registers& r = thread.registers;
    arch::SignalContext& c = f.uc_mcontext;
    c.r8 = r.r8, c.r9 = r.r9, c.r10 = r.r10, c.r11 = r.r11;
    c.r12 = r.r12, c.r13 = r.r13, c.r14 = r.r14, c.r15 = r.r15;
    c.rdi = r.rdi, c.rsi = r.rsi, c.rbp = r.rbp, c.rbx = r.rbx;
    c.rdx = r.rdx, c.rax = r.rax, c.rcx = r.rcx, c.rsp = r.rsp;
    c.rip = r.rip, c.eflags = r.eflags;
    c.cs = std::uint16_t(r.cs), c.ss = std::uint16_t(r.ss);
    c.fpstate = reinterpret_cast<std::uint64_t>(xstate);

    f.uc_flags = arch::uc_sigcontext_ss | arch::uc_strict_restore_ss;
    if (stub.xsave)
        f.uc_flags |= arch::uc_fp_xstate;
    f.uc_stack = {thread.altstack_sp, std::int32_t(thread.altstack_flags), 0, thread.altstack_size};
    f.uc_sigmask = thread.signal_mask;
}

void set_segment_bases(const Stub& stub, const kinds::ThreadRecord& thread) {
    constexpr int set_gs = 0x1001, set_fs = 0x1002;
    long r = arch::syscall(__NR_arch_prctl, set_fs, thread.registers.fs_base);
    if (r == 0)
        r = arch::syscall(__NR_arch_prctl, set_gs, thread.registers.gs_base);
    if (r < 0)
        fail(stub, int(-r), "cannot restore the thread pointer");
}

} // namespace rfork::stub
