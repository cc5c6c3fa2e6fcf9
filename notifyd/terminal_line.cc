#include "notifyd/terminal_line.h"

#include "base/printable.h"
#include "notifyd/line.h"

#include <algorithm>
#include <cstdio>

namespace notifyd {

namespace {

constexpr std::string_view red = "\x1b[31m", plain = "\x1b[0m";

std::string local_time(const timespec& time) {
    tm local{};
    ::localtime_r(&time.tv_sec, &local);
    char clock[32], stamp[48];
    std::strftime(clock, sizeof clock, "%H:%M:%S", &local);
    std::snprintf(stamp, sizeof stamp, "%s.%03ld", clock, time.tv_nsec / 1'000'000);
    return stamp;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

} // namespace

bool tells_of_failure(std::string_view message) {
    constexpr std::string_view ended = " ended: status ";
    std::size_t status = message.find(ended);
    return contains(message, " failed: ") || contains(message, " refused: ") ||
           contains(message, " killed by ") ||
           (status != std::string_view::npos && message.substr(status + ended.size()) != "0");
}

std::size_t TerminalLines::column_of(const std::string& origin) {
    auto known = std::find(hosts_.begin(), hosts_.end(), origin);
    if (known == hosts_.end() && hosts_.size() < columns)
        known = hosts_.insert(hosts_.end(), origin);
    return known == hosts_.end() ? columns - 1 : static_cast<std::size_t>(known - hosts_.begin());
}

std::string TerminalLines::make(const timespec& time, const std::string& origin,
                                std::string_view message) {
    const Message text = message_text(message);
    const std::size_t column = column_of(origin);
    std::string line = local_time(time) + "  ";
    for (std::size_t i = 0; i < hosts_.size(); ++i)
        line += i == column ? "o " : ". ";
    line += ' ' + origin + "  ";
    const bool alarming = colours_ && tells_of_failure(text.shown);
    if (alarming)
        line += red;
    line += rfork::printable(text.shown);
    if (alarming)
        line += plain;
    line += text.end;
    return line;
}

} // namespace notifyd
