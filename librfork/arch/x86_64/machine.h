// What the rest of rfork needs to know of x86-64.
#pragma once

#include "arch/x86_64/syscall.h"

#include <cstddef>
#include <cstdint>

namespace rfork::arch {

inline constexpr std::uint32_t elf_machine = 62; // EM_X86_64

// First address that no user mapping can have with 4-level paging, and with 5-level paging unless
// the program asked for it by a hint.
inline constexpr std::uint64_t address_space_end = 0x7ffffffff000;

// A fresh exec puts the stack, the vDSO and its data into the top of the address space (mmap_base),
// or, with an unlimited stack, from TASK_SIZE/3 = 0x2aaaaaaab000 up; a PIE goes to 0x55...; a
// position-dependent program and its heap lie near the bottom. Between 1 TiB-aligned 0x1000... and
// 0x2000... a fresh process has nothing.
inline constexpr std::uint64_t window_search_start = 0x100000000000;
inline constexpr std::uint64_t window_search_end = 0x200000000000;

// General registers of a thread in the order of struct user_regs_struct (sys/user.h).
struct Registers {
    std::uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    std::uint64_t orig_rax, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};
static_assert(sizeof(Registers) == 27 * 8);

// The XSAVE area in the standard format of the CPU that wrote it, and where that CPU puts each
// component: offsets beyond AVX differ between CPUs (CPUID leaf 0xD).
inline constexpr unsigned xstate_components = 32;
struct XstateComponent {
    std::uint32_t offset;
    std::uint32_t size;
};
inline constexpr std::size_t xstate_limit = 16 * 1024; // with AMX it is 11 KiB
inline constexpr std::size_t xstate_bv_offset = 512;
inline constexpr std::size_t xstate_xcr0_offset = 464; // where the kernel's core dumps put XCR0

struct CpuidResult {
    std::uint32_t eax, ebx, ecx, edx;
};

inline CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
    CpuidResult r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

// CPUID leaves a virtual machine for its host each time, which takes as long as fifty other system
// calls: what it says is asked once and passed on.
inline bool has_xsave() {
    return cpuid(1).ecx & (1u << 27); // OSXSAVE: the kernel has enabled it
}

// XCR0: the state components that user space may use. Without XSAVE: x87 and SSE.
inline std::uint64_t enabled_xstate(bool xsave) {
    if (!xsave)
        return 3;
    std::uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (std::uint64_t(high) << 32) | low;
}

inline constexpr std::uint64_t xstate_amx = (1u << 17) | (1u << 18);
// PKRU, which the kernel sets in every process, used or not, where the CPU has protection keys. Who
// does use them needs the feature OSPKE.
inline constexpr std::uint64_t xstate_pkru = 1u << 9;
inline constexpr std::uint32_t xstate_smallest = 512 + 64; // legacy region and header

// Where this CPU puts each of `features`, and how far they reach. The first three have their places
// by the architecture; the legacy region's two are always copied as one.
inline std::uint32_t xstate_layout(std::uint64_t features,
                                   XstateComponent (&layout)[xstate_components]) {
    std::uint32_t size = xstate_smallest;
    for (unsigned i = 0; i < xstate_components; ++i) {
        layout[i] = {0, 0};
        if (i < 2 || !(features >> i & 1))
            continue;
        if (i == 2) {
            layout[i] = {xstate_smallest, 256};
        } else {
            const CpuidResult r = cpuid(0xd, i);
            layout[i] = {r.ebx, r.eax};
        }
        if (layout[i].offset + layout[i].size > size)
            size = layout[i].offset + layout[i].size;
    }
    return size;
}

// The components of an XSAVE area that hold anything. CPUs may name more in XSTATE_BV, and emulated
// ones do; from number 2 on, the initial state of each is all zeroes.
inline std::uint64_t xstate_in_use(const std::uint8_t* area,
                                   const XstateComponent (&layout)[xstate_components]) {
    std::uint64_t in_use = 0;
    __builtin_memcpy(&in_use, area + xstate_bv_offset, sizeof in_use);
    for (unsigned i = 2; i < xstate_components; ++i) {
        std::uint8_t any = 0;
        if (in_use >> i & 1)
            for (std::uint32_t at = 0; at < layout[i].size; ++at)
                any |= area[layout[i].offset + at];
        if (!any)
            in_use &= ~(std::uint64_t(1) << i);
    }
    return in_use;
}

} // namespace rfork::arch
