// What every record starts with. Its kind is a number here: the list of kinds is format/kinds.h,
// and only who asks for one by name depends on it.
#pragma once

#include <cstdint>

namespace rfork::image {

enum class Kind : std::uint32_t;

// size counts the header, and is a multiple of 8.
struct RecordHeader {
    Kind kind;
    std::uint32_t size;
};
static_assert(sizeof(RecordHeader) == 8);

} // namespace rfork::image
