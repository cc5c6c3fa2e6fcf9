// One line of the log: "2026-11-21T02:30:00.123456Z 192.0.2.1 message\n".
#pragma once

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>

namespace notifyd {

// Longer messages are cut, and the line says so.
inline constexpr std::size_t max_message = 1024;

// One newline at the end of the message is not part of it.
std::string make_line(const timespec& time, std::string_view origin, std::string_view message);

} // namespace notifyd
