// Writes an image.
#pragma once

#include "image/sink.h"
#include "snapshot/snapshot.h"

namespace rfork::image {

struct Written {
    std::uint64_t bytes = 0; // of the file
};

// How far it is, for whoever looks on from another process.
struct Progress {
    std::uint64_t done, all; // bytes of pages
};

// Writes the image of `snapshot` into `sink`. It is complete when this returns; giving a file its
// mode and its name is the caller's.
Result<Written> write_image(const capture::Snapshot& snapshot, Sink& sink, Progress& progress);

} // namespace rfork::image
