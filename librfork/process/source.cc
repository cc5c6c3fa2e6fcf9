#include "process/source.h"

#include "base/proc.h"

#include <cerrno>
#include <climits>

namespace rfork::capture {

Result<std::string> Source::read(const char* name) const {
    std::string text;
    if (const int error = read_text(directory(), name, text, read_limit))
        return system_error(error,
                            std::string("cannot read /proc/PID/") + name + " of the process");
    return text;
}

Result<std::string> Source::link(const std::string& name) const {
    char buffer[PATH_MAX];
    const ssize_t got = readlinkat(directory(), name.c_str(), buffer, sizeof buffer);
    if (got < 0)
        return system_error(errno, "cannot read the link /proc/PID/" + name + " of the process");
    return std::string(buffer, std::size_t(got));
}

} // namespace rfork::capture
