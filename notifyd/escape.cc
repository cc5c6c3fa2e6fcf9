#include "notifyd/escape.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace notifyd {

namespace {

unsigned byte_at(std::string_view text, std::size_t position) {
    return static_cast<unsigned char>(text[position]);
}

struct Sequence {
    std::size_t size = 0; // 0: not UTF-8
    std::uint32_t character = 0;
};

Sequence first_character(std::string_view text) {
    unsigned lead = byte_at(text, 0);
    if (lead < 0x80)
        return {1, lead};
    std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size)
        return {};
    std::uint32_t character = lead & (0x7f >> size);
    for (std::size_t i = 1; i < size; ++i) {
        unsigned byte = byte_at(text, i);
        if ((byte & 0xc0) != 0x80)
            return {};
        character = character << 6 | (byte & 0x3f);
    }
    constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < smallest[size] || surrogate || character > 0x10ffff)
        return {};
    return {size, character};
}

bool is_control(std::uint32_t character) {
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

void append_byte(std::string& line, unsigned byte) {
    constexpr char digits[] = "0123456789abcdef";
    switch (byte) {
    case '\n':
        line += "\\n";
        return;
    case '\t':
        line += "\\t";
        return;
    case '\r':
        line += "\\r";
        return;
    }
    line += "\\x";
    line += digits[byte >> 4];
    line += digits[byte & 15];
}

} // namespace

std::string escape(std::string_view message) {
    std::string line;
    line.reserve(message.size());
    while (!message.empty()) {
        Sequence next = first_character(message);
        std::string_view bytes = message.substr(0, std::max<std::size_t>(next.size, 1));
        if (next.size == 0 || is_control(next.character))
            for (char byte : bytes)
                append_byte(line, static_cast<unsigned char>(byte));
        else if (next.character == '\\')
            line += "\\\\";
        else
            line += bytes;
        message.remove_prefix(bytes.size());
    }
    return line;
}

} // namespace notifyd
