// Memory that any number of mappings of any number of processes can be of. What is in it has a
// section of extents of its own.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

enum class SharedMemoryType : std::uint32_t {
    anonymous = 1, // MAP_SHARED | MAP_ANONYMOUS
    memfd = 2,     // memfd_create(2)
};

struct SharedMemoryRecord {
    image::ObjectHeader object; // named as the memfd was
    SharedMemoryType type;
    std::uint32_t pad;
    std::uint64_t size; // as far as its pages go that can be reached by a mapping
};
static_assert(sizeof(SharedMemoryRecord) == 40);

} // namespace rfork::kinds
