// An open file description, and the descriptors that refer to it (so that a dup shares its offset
// again). How it is had again depends on its type; each type is one file in this folder's two
// tables (collect.cc, restore.cc).
#pragma once

#include "image/format.h"
#include "kinds/descriptor_slot.h"

namespace rfork::kinds {

enum class FileType : std::uint32_t {
    regular = 1,   // opened again by path, at its offset
    directory = 2, // likewise; the offset is the file system's own cookie
    device = 3,    // a device without state: /dev/null and its kin, by path
    stream = 4,    // a standard stream: the one the image is started with
};

struct OpenFileRecord {
    image::RecordHeader header;
    FileType type;
    std::uint32_t flags;  // O_* for open(2): access mode and status flags only
    std::uint32_t path;   // string
    std::uint32_t stream; // FileType::stream: 0, 1 or 2
    std::uint64_t position;
    std::uint32_t slots; // DescriptorSlot[slots] follow
    std::uint32_t pad;

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
};
static_assert(sizeof(OpenFileRecord) == 40);

} // namespace rfork::kinds
