#include "notifyd/line.h"

#include "base/printable.h"

#include <cstdio>

namespace notifyd {

Message message_text(std::string_view message) {
    if (message.ends_with('\n'))
        message.remove_suffix(1);
    const bool cut = message.size() > max_message;
    return {message.substr(0, max_message), cut ? " [cut]\n" : "\n"};
}

std::string make_line(const timespec& time, std::string_view origin, std::string_view message) {
    const Message text = message_text(message);
    tm utc{};
    ::gmtime_r(&time.tv_sec, &utc);
    char stamp[64];
    std::size_t size = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(stamp + size, sizeof(stamp) - size, ".%06ldZ ", time.tv_nsec / 1000);

    std::string line = stamp;
    line += origin;
    line += ' ';
    line += rfork::printable(text.shown);
    line += text.end;
    return line;
}

} // namespace notifyd
