// The part of the reader's checks that concerns what exec sees of an image: its first page.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <elf.h>
#include <span>

namespace rfork::image {

struct Front {
    Elf64_Ehdr elf;
    Elf64_Phdr stub;     // the first PT_LOAD
    Elf64_Phdr metadata; // the second
};

// Refuses what is no ELF executable, and an executable for another machine by that machine's name.
Result<Front> parse_front(std::span<const std::byte> first_page);

} // namespace rfork::image
