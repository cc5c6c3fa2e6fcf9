#include "base/printable.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace rfork {

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

// Marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX 9), and the
// separators.
bool rearranges_lines(std::uint32_t character) {
    return character == 0x061c || character == 0x200e || character == 0x200f ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
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

bool is_plain(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') ||
           std::string_view("._-+/@~").find(letter) != std::string_view::npos;
}

enum class Backslash { doubled, kept };

std::string make_visible(std::string_view text, Backslash backslash) {
    std::string line;
    line.reserve(text.size());
    while (!text.empty()) {
        Sequence next = first_character(text);
        std::string_view bytes = text.substr(0, std::max<std::size_t>(next.size, 1));
        if (next.size == 0 || is_control(next.character) || rearranges_lines(next.character))
            for (char byte : bytes)
                append_byte(line, static_cast<unsigned char>(byte));
        else if (next.character == '\\' && backslash == Backslash::doubled)
            line += "\\\\";
        else
            line += bytes;
        text.remove_prefix(bytes.size());
    }
    return line;
}

} // namespace

std::string printable(std::string_view text) {
    return make_visible(text, Backslash::doubled);
}

std::string one_line(std::string_view sentence) {
    return make_visible(sentence, Backslash::kept);
}

std::string quoted(std::string_view name) {
    if (!name.empty() && std::all_of(name.begin(), name.end(), is_plain))
        return std::string(name);
    std::string word = "\"";
    for (char letter : printable(name)) {
        if (letter == '"')
            word += '\\';
        word += letter;
    }
    return word + '"';
}

} // namespace rfork
