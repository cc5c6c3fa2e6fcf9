// Small per-process attributes set with prctl(2) that an exec would lose.
#pragma once

#include "image/format.h"

namespace rfork::kinds {

struct AttributesRecord {
    image::RecordHeader header;
    std::uint32_t no_new_privileges;
    std::uint32_t child_subreaper;
    std::uint32_t thp_disable;
    std::uint32_t not_dumpable;
};
static_assert(sizeof(AttributesRecord) == 24);

} // namespace rfork::kinds
