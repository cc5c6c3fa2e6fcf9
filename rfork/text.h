// Numbers and strings for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rfork::tool {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

// Strings in an image come from somebody else's process: control characters, which could talk to
// the terminal, are shown as \x1b and the like.
std::string printable(std::string_view text);

std::string bytes_text(std::uint64_t bytes);      // "12.3 MiB"
std::string time_text(std::uint64_t nanoseconds); // "2026-11-21 02:31:55.123456 UTC"

} // namespace rfork::tool
