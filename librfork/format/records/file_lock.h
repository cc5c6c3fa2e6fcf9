// A lock on a file. It belongs to the process or to the open file; either way a process holds it
// by the descriptor through which it was taken.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

enum class FileLockType : std::uint32_t {
    whole = 1,        // of the open file: flock(2)
    of_process = 2,   // of the process: fcntl(2), F_SETLK
    of_open_file = 3, // of the open file: F_OFD_SETLK
};

struct FileLockRecord {
    image::RecordHeader header;
    std::uint32_t object; // the open file
    std::uint32_t name;   // string
    FileLockType type;
    std::uint32_t exclusive; // 0 or 1
    std::uint64_t start;     // of the range in bytes; 0 for FileLockType::whole
    std::uint64_t size;      // 0: to the end, wherever that comes to be
};
static_assert(sizeof(FileLockRecord) == 40);

} // namespace rfork::kinds
