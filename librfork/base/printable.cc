#include "base/printable.h"

#include "base/utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace rfork {

namespace {

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
        const Utf8Character next = first_character(text);
        std::string_view bytes = text.substr(0, std::max<std::size_t>(next.size, 1));
        if (next.size == 0 || is_control(next.value) || rearranges_lines(next.value))
            for (char byte : bytes)
                append_byte(line, static_cast<unsigned char>(byte));
        else if (next.value == '\\' && backslash == Backslash::doubled)
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
