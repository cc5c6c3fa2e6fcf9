// What the reader's checks have in common: how they refuse, and arithmetic that cannot overflow.
#pragma once

#include "base/result.h"
#include "format/format.h"

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace rfork::image {

inline constexpr std::uint64_t address_limit = std::uint64_t{1} << 56; // with 5-level paging

inline Error not_an_image(std::string_view what) {
    return {ENOEXEC, "not an rfork image: " + std::string(what)};
}

inline Error damaged(std::string_view what) {
    return {EBADMSG, "the image is damaged: " + std::string(what) +
                         ": copy it again, or freeze the program again"};
}

// Sums of two numbers from a file can overflow; this cannot.
inline bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) {
    return offset <= limit && size <= limit - offset;
}

inline bool page_aligned(std::uint64_t value) {
    return value % page_size == 0;
}

} // namespace rfork::image
