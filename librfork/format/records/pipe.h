// A pipe of which no process outside has an end, and the bytes in it.
#pragma once

#include "format/object.h"

#include <cstddef>

namespace rfork::kinds {

// An open file description of the pipe.
struct PipeEnd {
    std::uint32_t object;
    std::uint32_t flags; // access mode and status flags
};

enum class PipeContent : std::uint32_t {
    stream = 1, // any number of bytes; how they are spread over the pipe's buffers does not matter
    buffer = 2, // what one buffer holds, to which nothing is added
    packet = 3, // likewise, and read as a packet (O_DIRECT)
};

struct PipeSegment {
    PipeContent content;
    std::uint32_t size;
};

// Behind the structure: ends, segments, and the bytes of the segments.
struct PipeRecord {
    image::ObjectHeader object;
    std::uint32_t capacity; // of F_GETPIPE_SZ
    std::uint32_t ends;
    std::uint32_t segments;
    std::uint32_t bytes;

    const PipeEnd* end() const { return reinterpret_cast<const PipeEnd*>(this + 1); }
    const PipeSegment* segment() const {
        return reinterpret_cast<const PipeSegment*>(end() + ends);
    }
    const std::uint8_t* data() const {
        return reinterpret_cast<const std::uint8_t*>(segment() + segments);
    }
};
static_assert(sizeof(PipeRecord) == 40);

} // namespace rfork::kinds
