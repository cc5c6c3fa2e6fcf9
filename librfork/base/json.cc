#include "base/json.h"

#include "base/utf8.h"

#include <algorithm>
#include <cstdio>

namespace rfork {

namespace {

void append_unit(std::string& out, std::uint32_t unit) {
    char text[8];
    std::snprintf(text, sizeof text, "\\u%04x", static_cast<unsigned>(unit & 0xffff));
    out += text;
}

void append_character(std::string& out, std::uint32_t character) {
    if (character == '"' || character == '\\') {
        out += '\\';
        out += static_cast<char>(character);
    } else if (character >= 0x20 && character < 0x7f) {
        out += static_cast<char>(character);
    } else if (character < 0x10000) {
        append_unit(out, character);
    } else {
        append_unit(out, 0xd800 + ((character - 0x10000) >> 10));
        append_unit(out, 0xdc00 + ((character - 0x10000) & 0x3ff));
    }
}

constexpr std::uint32_t lone_byte = 0xdc00; // and the byte's value, which is 0x80 or more

} // namespace

void Json::text(std::string_view bytes) {
    separate();
    quote(bytes);
    follows_ = true;
}

void Json::boolean(bool value) {
    word(value ? "true" : "false");
}

void Json::nothing() {
    word("null");
}

void Json::number(double value, int decimals) {
    char digits[400];
    std::snprintf(digits, sizeof digits, "%.*f", decimals, value);
    word(digits);
}

Json& Json::key(std::string_view name) {
    separate();
    quote(name);
    out_ += ": ";
    follows_ = false;
    return *this;
}

void Json::open(char bracket) {
    separate();
    out_ += bracket;
    follows_ = false;
}

void Json::close(char bracket) {
    out_ += bracket;
    follows_ = true;
}

void Json::word(std::string_view word) {
    separate();
    out_ += word;
    follows_ = true;
}

void Json::quote(std::string_view bytes) {
    out_ += '"';
    while (!bytes.empty()) {
        const Utf8Character next = first_character(bytes);
        if (next.size == 0)
            append_unit(out_, lone_byte + static_cast<unsigned char>(bytes[0]));
        else
            append_character(out_, next.value);
        bytes.remove_prefix(std::max<std::size_t>(next.size, 1));
    }
    out_ += '"';
}

void Json::separate() {
    if (follows_)
        out_ += ", ";
}

} // namespace rfork
