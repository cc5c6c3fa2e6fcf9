#include "process/source.h"

#include "base/unique_fd.h"

#include <cerrno>
#include <climits>
#include <fcntl.h>

namespace rfork::capture {

Result<std::string> Source::read(const char* name) const {
    UniqueFd fd(openat(directory(), name, O_RDONLY | O_CLOEXEC));
    if (!fd)
        return system_error(errno,
                            std::string("cannot read /proc/PID/") + name + " of the process");
    std::string text;
    char buffer[4096];
    ssize_t got;
    while ((got = ::read(fd.get(), buffer, sizeof buffer)) > 0 && text.size() < read_limit)
        text.append(buffer, std::size_t(got));
    if (got < 0)
        return system_error(errno,
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

std::string field(const std::string& text, const char* name) {
    const std::string wanted = std::string(name) + ":";
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = text.find('\n', at);
        if (end == std::string::npos)
            end = text.size();
        if (text.compare(at, wanted.size(), wanted) == 0) {
            at += wanted.size();
            while (at < end && (text[at] == ' ' || text[at] == '\t'))
                ++at;
            return text.substr(at, end - at);
        }
        at = end + 1;
    }
    return "";
}

} // namespace rfork::capture
