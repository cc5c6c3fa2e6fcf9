// Where everything goes: in the frozen processes' address spaces, and in the file.
#pragma once

#include "image/core_view.h"
#include "image/page_layout.h"
#include "snapshot/snapshot.h"

namespace rfork::image {

// Everything about an image but its page data and their hashes; from a snapshot alone, so it is
// decided before the first byte is written.
struct Layout {
    Header header{}; // all but the hashes
    std::vector<Section> sections;
    std::vector<std::uint8_t> metadata; // as in the file, but for the hashes in the header
    std::vector<CoreView> cores;        // of each process
    std::uint64_t sections_offset = 0;  // of the executable's section headers and their names
    std::vector<Stored> stored;         // in the order of the file, and of the hashes
    std::uint64_t pages_size = 0;       // bytes of page data
};

Result<Layout> lay_out(const capture::Snapshot& snapshot, std::uint64_t stub_size);

// Of a kind that there is once.
const Section& section(const Layout& layout, SectionKind kind);

} // namespace rfork::image
