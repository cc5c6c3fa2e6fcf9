// Writes an image.
#pragma once

#include "snapshot/snapshot.h"

namespace rfork::image {

struct Written {
    std::uint64_t bytes = 0; // of the file
};

// How far it is, for whoever looks on from another process.
struct Progress {
    std::uint64_t done, all; // bytes of pages
};

// Writes the image of `snapshot` into the empty file `fd`. The file is complete, and checked by
// hashes, when this returns; giving it its mode and its name is the caller's.
Result<Written> write_image(const capture::Snapshot& snapshot, int fd, Progress& progress);

// The resume stub that goes into every image.
std::span<const std::uint8_t> stub_code();

} // namespace rfork::image
