// Where the stub works: address ranges that are free in all processes, and descriptors that none of
// them uses.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

namespace rfork::image {

// When the sizes of what is mapped there are known.
Result<Window> plan_window(const capture::Snapshot& snapshot, std::uint64_t stub_size,
                           std::uint64_t metadata_size, std::uint64_t behind_pages);

// For the stub's own descriptors, and, of several processes, where each open file waits for them.
std::vector<Descriptor> choose_descriptors(const capture::Snapshot& snapshot, Header& header);

// Where shared memory is made that has several mappings, or is a file, in the order of the objects:
// what of it, and, when the window is planned, at which address.
std::vector<Mapping> common_mappings(const capture::Snapshot& snapshot);
Result<void> place_common_mappings(const capture::Snapshot& snapshot, const Window& window,
                                   std::vector<Mapping>& common);

inline std::uint64_t page_up(std::uint64_t value) {
    return (value + page_size - 1) / page_size * page_size;
}

} // namespace rfork::image
