// Text without a libc, and the three functions that compilers call on their own account.
#include "stub/stub.h"

extern "C" {

[[gnu::visibility("hidden"), gnu::used]] void* memcpy(void* to, const void* from, std::size_t n) {
    void* result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return result;
}

[[gnu::visibility("hidden"), gnu::used]] void* memset(void* to, int byte, std::size_t n) {
    void* result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
    return result;
}

[[gnu::visibility("hidden"), gnu::used]] int memcmp(const void* a, const void* b, std::size_t n) {
    const auto* x = static_cast<const unsigned char*>(a);
    const auto* y = static_cast<const unsigned char*>(b);
    for (std::size_t i = 0; i < n; ++i)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}
}

namespace rfork::stub {

unsigned length(const char* text) {
    unsigned n = 0;
    while (text[n])
        ++n;
    return n;
}

bool starts_with(const char* text, const char* prefix) {
    for (; *prefix; ++text, ++prefix)
        if (*text != *prefix)
            return false;
    return true;
}

bool same(const char* a, const char* b) {
    return starts_with(a, b) && length(a) == length(b);
}

bool parse_unsigned(const char*& text, std::uint64_t& value, unsigned base) {
    const char* start = text;
    value = 0;
    for (;; ++text) {
        unsigned digit;
        if (*text >= '0' && *text <= '9')
            digit = unsigned(*text - '0');
        else if (base == 16 && *text >= 'a' && *text <= 'f')
            digit = unsigned(*text - 'a' + 10);
        else
            break;
        value = value * base + digit;
    }
    return text != start;
}

bool copy_text(char* to, unsigned capacity, const char* text) {
    const Text copy = Text(to, capacity) << text;
    return copy.size() == length(text);
}

Text& Text::operator<<(const char* text) {
    while (*text && size_ + 1 < capacity_)
        buffer_[size_++] = *text++;
    buffer_[size_] = '\0';
    return *this;
}

Text& Text::operator<<(std::uint64_t number) {
    char digits[21];
    unsigned at = sizeof digits - 1;
    digits[at] = '\0';
    do
        digits[--at] = char('0' + number % 10);
    while (number /= 10);
    return *this << digits + at;
}

} // namespace rfork::stub
