// Resource limits, those that the program has set for itself (process/beginnings.h) and those that
// it was frozen under. What to do about them on the target, restore.cc says.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

inline constexpr unsigned limit_count = 16; // RLIM_NLIMITS

struct Limit { // struct rlimit64
    std::uint64_t soft, hard;
    friend bool operator==(const Limit&, const Limit&) = default;
};

struct ResourceLimitsRecord {
    image::RecordHeader header;
    std::uint64_t beginnings; // where the program's librfork keeps the limits it began with, or 0
    std::uint32_t own_soft;   // a bit for each that the program has changed
    std::uint32_t own_hard;
    Limit limits[limit_count];
};
static_assert(sizeof(ResourceLimitsRecord) == 24 + 16 * 16);

} // namespace rfork::kinds
