// What the program's code needs of the CPU it is resumed on.
#pragma once

#include "arch/x86_64/cpu_features.h"
#include "format/record.h"

namespace rfork::kinds {

struct CpuRecord {
    image::RecordHeader header;
    arch::CpuFeatureSet required;
    std::uint64_t xstate; // state components in use by any thread, but for PKRU
};
static_assert(sizeof(CpuRecord) == 32);

} // namespace rfork::kinds
