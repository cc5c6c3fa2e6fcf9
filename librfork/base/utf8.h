// UTF-8, as Unicode 15.0, table 3-7, has it: no overlong forms, no surrogates, nothing beyond
// U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rfork {

struct Utf8Character {
    std::size_t size = 0; // in bytes; 0: not UTF-8
    std::uint32_t value = 0;
};

// Of a text that is not empty.
Utf8Character first_character(std::string_view text);

} // namespace rfork
