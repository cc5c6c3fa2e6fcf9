// The execution domain and its flags (personality(2)): ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC ...
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct PersonalityRecord {
    image::RecordHeader header;
    std::uint64_t persona;
};
static_assert(sizeof(PersonalityRecord) == 16);

} // namespace rfork::kinds
