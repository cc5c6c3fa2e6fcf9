// Numbers and strings for people.
#pragma once

#include <cstdint>
#include <string>

namespace rfork::tool {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

std::string time_text(std::uint64_t nanoseconds); // "2026-11-21 02:31:55.123456 UTC"

} // namespace rfork::tool
