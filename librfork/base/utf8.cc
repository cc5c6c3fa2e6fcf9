#include "base/utf8.h"

namespace rfork {

namespace {

unsigned byte_at(std::string_view text, std::size_t position) {
    return static_cast<unsigned char>(text[position]);
}

} // namespace

Utf8Character first_character(std::string_view text) {
    unsigned lead = byte_at(text, 0);
    if (lead < 0x80)
        return {1, lead};
    std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size)
        return {};
    std::uint32_t value = lead & (0x7f >> size);
    for (std::size_t i = 1; i < size; ++i) {
        unsigned byte = byte_at(text, i);
        if ((byte & 0xc0) != 0x80)
            return {};
        value = value << 6 | (byte & 0x3f);
    }
    constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < smallest[size] || surrogate || value > 0x10ffff)
        return {};
    return {size, value};
}

} // namespace rfork
