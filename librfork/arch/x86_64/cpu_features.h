// The instruction sets a program may have chosen to use: libc picks string functions at start-up by
// CPUID (ifunc), compilers emit them outright. An image needs all of those that user space of the
// freezing machine could use, by name. Features that only make instructions faster (ERMS, FSRM) or
// that only the kernel sees are not in the list: code that believes in them runs anywhere.
//
// Images hold places in this table: it grows at its end only.
#pragma once

#include "arch/x86_64/machine.h"

namespace rfork::arch {

enum CpuidWord : std::uint8_t {
    leaf1_ecx,
    leaf1_edx,
    leaf7_ebx,
    leaf7_ecx,
    leaf7_edx,
    leaf7_1_eax,
    extended_ecx,
    extended_edx,
    xsave_eax,
    cpuid_words
};

struct CpuFeature {
    char name[20]; // as in GLIBC_TUNABLES=glibc.cpu.hwcaps
    CpuidWord word;
    std::uint8_t bit;
    std::uint32_t state; // XCR0 bits without which the kernel does not let user space use it
};

inline constexpr std::uint32_t state_none = 0;
inline constexpr std::uint32_t state_avx = 1u << 2;
inline constexpr std::uint32_t state_avx512 = state_avx | 7u << 5;
inline constexpr std::uint32_t state_pku = 1u << 9;
inline constexpr std::uint32_t state_amx = 3u << 17;

inline constexpr CpuFeature cpu_features[] = {
    {"CX8", leaf1_edx, 8, state_none},
    {"CMOV", leaf1_edx, 15, state_none},
    {"CLFSH", leaf1_edx, 19, state_none},
    {"MMX", leaf1_edx, 23, state_none},
    {"SSE3", leaf1_ecx, 0, state_none},
    {"PCLMULQDQ", leaf1_ecx, 1, state_none},
    {"SSSE3", leaf1_ecx, 9, state_none},
    {"FMA", leaf1_ecx, 12, state_avx},
    {"CMPXCHG16B", leaf1_ecx, 13, state_none},
    {"SSE4_1", leaf1_ecx, 19, state_none},
    {"SSE4_2", leaf1_ecx, 20, state_none},
    {"MOVBE", leaf1_ecx, 22, state_none},
    {"POPCNT", leaf1_ecx, 23, state_none},
    {"AES", leaf1_ecx, 25, state_none},
    {"OSXSAVE", leaf1_ecx, 27, state_none},
    {"AVX", leaf1_ecx, 28, state_avx},
    {"F16C", leaf1_ecx, 29, state_avx},
    {"RDRAND", leaf1_ecx, 30, state_none},
    {"FSGSBASE", leaf7_ebx, 0, state_none},
    {"BMI1", leaf7_ebx, 3, state_none},
    {"HLE", leaf7_ebx, 4, state_none},
    {"AVX2", leaf7_ebx, 5, state_avx},
    {"BMI2", leaf7_ebx, 8, state_none},
    {"RTM", leaf7_ebx, 11, state_none},
    {"AVX512F", leaf7_ebx, 16, state_avx512},
    {"AVX512DQ", leaf7_ebx, 17, state_avx512},
    {"RDSEED", leaf7_ebx, 18, state_none},
    {"ADX", leaf7_ebx, 19, state_none},
    {"AVX512_IFMA", leaf7_ebx, 21, state_avx512},
    {"CLFLUSHOPT", leaf7_ebx, 23, state_none},
    {"CLWB", leaf7_ebx, 24, state_none},
    {"AVX512PF", leaf7_ebx, 26, state_avx512},
    {"AVX512ER", leaf7_ebx, 27, state_avx512},
    {"AVX512CD", leaf7_ebx, 28, state_avx512},
    {"SHA", leaf7_ebx, 29, state_none},
    {"AVX512BW", leaf7_ebx, 30, state_avx512},
    {"AVX512VL", leaf7_ebx, 31, state_avx512},
    {"PREFETCHWT1", leaf7_ecx, 0, state_none},
    {"AVX512_VBMI", leaf7_ecx, 1, state_avx512},
    {"OSPKE", leaf7_ecx, 4, state_pku},
    {"WAITPKG", leaf7_ecx, 5, state_none},
    {"AVX512_VBMI2", leaf7_ecx, 6, state_avx512},
    {"GFNI", leaf7_ecx, 8, state_none},
    {"VAES", leaf7_ecx, 9, state_avx},
    {"VPCLMULQDQ", leaf7_ecx, 10, state_avx},
    {"AVX512_VNNI", leaf7_ecx, 11, state_avx512},
    {"AVX512_BITALG", leaf7_ecx, 12, state_avx512},
    {"AVX512_VPOPCNTDQ", leaf7_ecx, 14, state_avx512},
    {"RDPID", leaf7_ecx, 22, state_none},
    {"CLDEMOTE", leaf7_ecx, 25, state_none},
    {"MOVDIRI", leaf7_ecx, 27, state_none},
    {"MOVDIR64B", leaf7_ecx, 28, state_none},
    {"AVX512_4VNNIW", leaf7_edx, 2, state_avx512},
    {"AVX512_4FMAPS", leaf7_edx, 3, state_avx512},
    {"AVX512_VP2INTERSECT", leaf7_edx, 8, state_avx512},
    {"SERIALIZE", leaf7_edx, 14, state_none},
    {"AMX_BF16", leaf7_edx, 22, state_amx},
    {"AVX512_FP16", leaf7_edx, 23, state_avx512},
    {"AMX_TILE", leaf7_edx, 24, state_amx},
    {"AMX_INT8", leaf7_edx, 25, state_amx},
    {"AVX_VNNI", leaf7_1_eax, 4, state_avx},
    {"AVX512_BF16", leaf7_1_eax, 5, state_avx512},
    {"AVX_IFMA", leaf7_1_eax, 23, state_avx},
    {"LAHF64_SAHF64", extended_ecx, 0, state_none},
    {"LZCNT", extended_ecx, 5, state_none},
    {"SSE4A", extended_ecx, 6, state_none},
    {"PREFETCHW", extended_ecx, 8, state_none},
    {"XOP", extended_ecx, 11, state_avx},
    {"FMA4", extended_ecx, 16, state_avx},
    {"TBM", extended_ecx, 21, state_none},
    {"RDTSCP", extended_edx, 27, state_none},
    {"XSAVEOPT", xsave_eax, 0, state_none},
    {"XSAVEC", xsave_eax, 1, state_none},
};
inline constexpr unsigned cpu_feature_count = sizeof cpu_features / sizeof cpu_features[0];

struct CpuFeatureSet {
    std::uint64_t words[2];

    bool has(unsigned feature) const { return words[feature / 64] >> (feature % 64) & 1; }
    void add(unsigned feature) { words[feature / 64] |= std::uint64_t(1) << (feature % 64); }
    void remove(unsigned feature) { words[feature / 64] &= ~(std::uint64_t(1) << (feature % 64)); }
};
static_assert(cpu_feature_count <= 128);

// What user space of this machine can use.
inline CpuFeatureSet usable_cpu_features() {
    std::uint32_t words[cpuid_words] = {};
    const std::uint32_t highest = cpuid(0).eax;
    const CpuidResult leaf1 = cpuid(1);
    words[leaf1_ecx] = leaf1.ecx;
    words[leaf1_edx] = leaf1.edx;
    if (highest >= 7) {
        const CpuidResult leaf7 = cpuid(7);
        words[leaf7_ebx] = leaf7.ebx;
        words[leaf7_ecx] = leaf7.ecx;
        words[leaf7_edx] = leaf7.edx;
        if (leaf7.eax >= 1)
            words[leaf7_1_eax] = cpuid(7, 1).eax;
    }
    if (highest >= 0xd)
        words[xsave_eax] = cpuid(0xd, 1).eax;
    const CpuidResult extended = cpuid(0x80000001);
    words[extended_ecx] = extended.ecx;
    words[extended_edx] = extended.edx;

    const std::uint64_t xcr0 = enabled_xstate(leaf1.ecx & (1u << 27));
    CpuFeatureSet set{};
    for (unsigned i = 0; i < cpu_feature_count; ++i) {
        const CpuFeature& f = cpu_features[i];
        if ((words[f.word] >> f.bit & 1) && (xcr0 & f.state) == f.state)
            set.add(i);
    }
    return set;
}

} // namespace rfork::arch
