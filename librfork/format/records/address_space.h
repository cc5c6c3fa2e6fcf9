// What the kernel knows of an address space beyond its mappings: where code, heap, arguments and
// environment lie (struct prctl_mm_map), the auxiliary vector, and which vDSO the program has
// pointers into.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

inline constexpr std::uint32_t auxv_limit = 64; // words; the kernel keeps about 50

struct AddressSpaceRecord {
    image::RecordHeader header;
    std::uint64_t start_code, end_code, start_data, end_data;
    std::uint64_t start_brk, brk, start_stack;
    std::uint64_t arg_start, arg_end, env_start, env_end;
    std::uint64_t vdso; // AT_SYSINFO_EHDR, 0 without a vDSO
    std::uint8_t vdso_build_id[32];
    std::uint32_t vdso_build_id_size;
    std::uint32_t auxv_words;
    std::uint64_t auxv[auxv_limit];
};
static_assert(sizeof(AddressSpaceRecord) == 8 + 12 * 8 + 32 + 8 + 64 * 8);

} // namespace rfork::kinds
