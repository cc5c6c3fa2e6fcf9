#include "describe/text.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace rfork::tool {

std::string format(const char* pattern, ...) {
    va_list arguments;
    va_start(arguments, pattern);
    char* text = nullptr;
    int length = ::vasprintf(&text, pattern, arguments);
    va_end(arguments);
    if (length < 0)
        return {};
    std::string result(text, static_cast<std::size_t>(length));
    std::free(text);
    return result;
}

std::string time_text(std::uint64_t nanoseconds) {
    auto seconds = static_cast<std::time_t>(nanoseconds / 1'000'000'000);
    auto microseconds = static_cast<unsigned>(nanoseconds % 1'000'000'000 / 1000);
    std::tm time{};
    char text[64];
    if (!::gmtime_r(&seconds, &time) ||
        !std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &time))
        return "at no time in the calendar";
    return format("%s.%06u UTC", text, microseconds);
}

} // namespace rfork::tool
