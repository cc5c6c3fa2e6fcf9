// The core view: the same bytes as a core file, for debuggers (`rfork core`). The ELF header which,
// put at offset 0, makes the file a core of one of its processes; the notes, and a program header
// table for all of that process's memory.
#pragma once

#include "snapshot/snapshot.h"

#include <elf.h>

namespace rfork::image {

// What a process has mapped, and where in the file it is: offsets count from the first page.
struct SharedExtents {
    std::uint32_t object;
    std::span<const Extent> extents;
};
struct CoreMemory {
    std::span<const Mapping> mappings;
    std::span<const Extent> extents;
    std::span<const SharedExtents> shared; // objects ascending
};

struct CoreView {
    Elf64_Ehdr header{};
    std::vector<std::uint8_t> notes; // as in a core of Linux: NT_PRSTATUS first
    std::vector<Elf64_Phdr> segments;
    Elf64_Shdr count{}; // holds the number of segments when it does not fit the ELF header

    struct {
        std::uint64_t header, notes, segments, count, end;
    } offset{}; // in the file
};

// What every ELF header of an image says of itself.
void identify(Elf64_Ehdr&, std::uint16_t type);

// In two steps, since offsets in the file depend on the view's size: first with page data counted
// from the first page, then put where it belongs.
CoreView make_core_view(const CoreMemory&, const capture::ProcessSnapshot&);
std::uint64_t core_view_size(const CoreView&);
void place_core_view(CoreView&, std::uint64_t core_offset, std::uint64_t pages_offset);

} // namespace rfork::image
