// base/hash.h's hash by AVX2.
#pragma once

#include "arch/x86_64/machine.h"

#include <cstddef>
#include <cstdint>

namespace rfork::arch {

inline bool has_wide_hash() {
    constexpr std::uint64_t sse_and_avx = 6; // XCR0
    return has_xsave() && (enabled_xstate(true) & sse_and_avx) == sse_and_avx &&
           cpuid(0).eax >= 7 && (cpuid(7).ebx & (1u << 5));
}

inline constexpr std::size_t wide_hash_minimum = 241;
std::uint64_t wide_hash(const void* data, std::size_t size);
// `state` is a XXH3_state_t.
void add_to_wide_hash(void* state, const void* data, std::size_t size);

} // namespace rfork::arch
