// One line of the log: "2026-11-21T02:30:00.123456Z 192.0.2.1 message\n".
#pragma once

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>

namespace notifyd {

// Longer messages are cut, and the line says so.
inline constexpr std::size_t max_message = 1024;

struct Message {
    std::string_view shown; // a newline at its end is not part of it, nor what is too long
    std::string_view end;   // of the line: "\n", or that the message was cut
};
Message message_text(std::string_view message);

std::string make_line(const timespec& time, std::string_view origin, std::string_view message);

} // namespace notifyd
