// The file mode creation mask.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct UmaskRecord {
    image::RecordHeader header;
    std::uint32_t mask;
    std::uint32_t pad;
};
static_assert(sizeof(UmaskRecord) == 16);

} // namespace rfork::kinds
