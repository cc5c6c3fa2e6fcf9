// The file of the program, which /proc/PID/exe no longer leads to after a resume.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct ExecutableRecord {
    image::RecordHeader header;
    std::uint32_t path; // string
    std::uint32_t pad;
};
static_assert(sizeof(ExecutableRecord) == 16);

} // namespace rfork::kinds
