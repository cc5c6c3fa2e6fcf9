// Where page data go in the file.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

namespace rfork::image {

// A part of the file that holds page data, and the memory they are read from.
struct Stored {
    Extent extent; // of a process or an object
    capture::PageSource* pages;
    std::uint64_t address;
};

// The memory of one process, or one object, on its way into the file.
struct Owned {
    SectionKind kind; // of the section of its extents
    std::uint32_t id;
    std::vector<Mapping> mappings; // with file offsets; of a process
    std::vector<Extent> extents;
};

struct PageData {
    std::vector<Owned> owned;   // processes first
    std::vector<Stored> stored; // in the order of the file, and of the hashes
    std::uint64_t size = 0;     // bytes
};

// Offsets count from the first page until that is known.
Result<PageData> lay_out_pages(const capture::Snapshot& snapshot);
void shift_pages(PageData& data, std::uint64_t by);

} // namespace rfork::image
