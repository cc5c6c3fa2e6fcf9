#include "notifyd/line.h"

#include "notifyd/escape.h"

#include <cstdio>

namespace notifyd {

std::string make_line(const timespec& time, std::string_view origin, std::string_view message) {
    if (message.ends_with('\n'))
        message.remove_suffix(1);
    const bool cut = message.size() > max_message;

    tm utc{};
    ::gmtime_r(&time.tv_sec, &utc);
    char stamp[64];
    std::size_t size = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(stamp + size, sizeof(stamp) - size, ".%06ldZ ", time.tv_nsec / 1000);

    std::string line = stamp;
    line += origin;
    line += ' ';
    line += escape(message.substr(0, max_message));
    line += cut ? " [cut]\n" : "\n";
    return line;
}

} // namespace notifyd
