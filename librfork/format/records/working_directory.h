// The working directory, by path.
#pragma once

#include "format/record.h"
#include "format/records/owner.h"

namespace rfork::kinds {

struct WorkingDirectoryRecord {
    image::RecordHeader header;
    std::uint32_t path; // string
    Owner owner;
    std::uint32_t pad;
};
static_assert(sizeof(WorkingDirectoryRecord) == 24);

} // namespace rfork::kinds
