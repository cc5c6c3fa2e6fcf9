// An open file description. All descriptors that refer to it share its offset. How it is had again
// depends on its type: objects/open_file/ (collect.cc, restore.cc).
#pragma once

#include "format/object.h"
#include "format/records/owner.h"

namespace rfork::kinds {

enum class FileType : std::uint32_t {
    regular = 1,   // opened again by path, at its offset
    directory = 2, // likewise; the offset is the file system's own cookie
    device = 3,    // a device without state: /dev/null and its kin, by path
    stream = 4,    // a standard stream: the one the image is started with
    mapped = 5,    // not open: a file that is mapped shared, for when memory is rebuilt
};

struct OpenFileRecord {
    image::ObjectHeader object; // named by its path
    FileType type;
    std::uint32_t stream;   // FileType::stream: 0, 1 or 2
    std::uint64_t position; // FileType::mapped: where the last mapping ends

    // By which the file is known again; zeroes for a stream, but for its size.
    std::uint32_t mode; // type and permissions
    std::uint32_t boot; // string: the kernel's boot_id, where device and inode are valid; or empty
    Owner owner;
    std::uint64_t device; // of the file system; FileType::device: of itself. Major number << 32
    // Of a regular file.
    std::uint64_t inode;   // 0: it says nothing there
    std::uint64_t size;    // FileType::stream: of a terminal, its window_size(); else 0
    std::int64_t modified; // nanoseconds since the epoch; 0: likewise
};
static_assert(sizeof(OpenFileRecord) == 88);

// Never 0, as those that nobody has told their size have no rows.
constexpr std::uint64_t window_size(std::uint16_t rows, std::uint16_t columns) {
    return std::uint64_t(1) << 32 | std::uint64_t(rows) << 16 | columns;
}

} // namespace rfork::kinds
