// Where everything goes: in the frozen process's address space, and in the file.
#pragma once

#include "image/core_view.h"
#include "snapshot/snapshot.h"

namespace rfork::image {

// Everything about an image but its bytes; from a snapshot alone, so it is decided before the first
// byte is written.
struct Layout {
    Header header{};                   // offsets and window final, hashes not yet
    std::vector<Mapping> mappings;     // with file offsets
    std::vector<Extent> extents;       // hashes not yet
    std::vector<std::uint8_t> records; // with the threads'
    CoreView core;
    std::uint64_t pages_size = 0; // bytes of page data
};

Result<Layout> lay_out(const capture::Snapshot& snapshot, std::uint64_t stub_size);

} // namespace rfork::image
