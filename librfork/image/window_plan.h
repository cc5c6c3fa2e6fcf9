// Where the stub works: an address range that is free in all processes, and numbers for its own
// descriptors.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

namespace rfork::image {

// When the sizes of what is mapped there are known.
Result<Window> plan_window(const capture::Snapshot& snapshot, std::uint64_t stub_size,
                           std::uint64_t metadata_size, std::uint64_t behind_pages);

// Numbers that no process uses.
void choose_private_descriptors(const capture::Snapshot& snapshot, Header& header);

inline std::uint64_t page_up(std::uint64_t value) {
    return (value + page_size - 1) / page_size * page_size;
}

} // namespace rfork::image
