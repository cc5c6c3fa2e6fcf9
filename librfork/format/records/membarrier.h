// What the program has registered its memory for with membarrier(2). Absent if nothing.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct MembarrierRecord {
    image::RecordHeader header;
    std::uint64_t registrations; // a bit for each MEMBARRIER_CMD_REGISTER_*
};
static_assert(sizeof(MembarrierRecord) == 16);

} // namespace rfork::kinds
