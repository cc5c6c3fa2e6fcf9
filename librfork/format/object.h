// What processes refer to, and may share: an open file description, a pipe, memory. It is there
// once, and has a number by which everything else in the image refers to it; a descriptor is one of
// the ways to do so.
#pragma once

#include "format/record.h"

namespace rfork::image {

// Every record of an object starts so.
struct ObjectHeader {
    RecordHeader header;
    std::uint32_t id;    // from 1, the only one in the image; 0 is none
    std::uint32_t name;  // string: what to call it when something goes wrong, often a path
    std::uint32_t flags; // of an open file description: access mode and status flags
    std::uint32_t pad;
};
static_assert(sizeof(ObjectHeader) == 24);

enum DescriptorFlags : std::uint32_t {
    descriptor_close_on_exec = 1,
    // The process does not have it: it is there for what refers to the object while the process is
    // made, and closed before that runs.
    descriptor_until_resumed = 2,
};

// In the order of the objects, and then of the numbers.
struct Descriptor {
    std::int32_t fd;
    std::uint32_t flags; // DescriptorFlags
    std::uint32_t object;
    std::uint32_t pad;
};
static_assert(sizeof(Descriptor) == 16);

} // namespace rfork::image
