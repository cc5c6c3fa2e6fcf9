// The core view: the same bytes as a core file, for debuggers (`rfork core`). Notes, a program
// header table for all of memory, and the ELF header which, put at offset 0, makes the file a core.
#pragma once

#include "image/layout.h"

#include <elf.h>

namespace rfork::image {

// Upper bound for the bytes that the core view and the section table take in the file.
std::uint64_t core_view_size(const Layout&, const capture::Snapshot&);

struct CoreView {
    std::vector<std::uint8_t> notes; // as in a core of Linux: NT_PRSTATUS first
    std::vector<Elf64_Phdr> segments;
    Elf64_Shdr count{};   // holds the number of segments when it does not fit the ELF header
    Elf64_Ehdr header{};
};

// Offsets in the file of the four parts.
struct CoreOffsets {
    std::uint64_t notes, segments, count, header, end;
};

CoreView make_core_view(const Layout&, const capture::Snapshot&, CoreOffsets& where);

} // namespace rfork::image
