// An open file description of a file to which no name leads any more. What is in the file has a
// section of extents of its own, which belongs to one of the open files there are of it.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

enum class UnlinkedFileType : std::uint32_t {
    file = 1,
    memfd = 2, // memfd_create(2)
};

struct UnlinkedFileRecord {
    image::ObjectHeader object; // named by the path that it had, or as the memfd was
    UnlinkedFileType type;
    std::uint32_t file;     // the object that has the contents: this one, or one before it
    std::uint32_t mode;     // permissions
    std::uint32_t seals;    // of a memfd
    std::uint64_t position; // offset
    std::uint64_t size;
    std::int64_t modified; // nanoseconds since the epoch
};
static_assert(sizeof(UnlinkedFileRecord) == 64);

} // namespace rfork::kinds
