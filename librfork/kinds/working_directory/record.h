// The working directory, by path.
#pragma once

#include "image/format.h"

namespace rfork::kinds {

struct WorkingDirectoryRecord {
    image::RecordHeader header;
    std::uint32_t path; // string
    std::uint32_t pad;
};
static_assert(sizeof(WorkingDirectoryRecord) == 16);

} // namespace rfork::kinds
