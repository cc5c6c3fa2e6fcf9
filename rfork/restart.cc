// The image reads its options from the environment (stub/main.cc), so that it needs nobody to start
// it; this puts them there, and becomes the image.
#include "restart.h"

#include "base/unique_fd.h"
#include "image/reader.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <unistd.h>

namespace rfork::tool {
namespace {

struct Map {
    std::string old, now;
};

// A backslash takes its meaning from a = that belongs to the path before it, and from itself.
std::optional<Map> parse(std::string_view text) {
    Map map;
    std::string* to = &map.old;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '\\' && i + 1 < text.size();
        if (text[i] == '=' && to == &map.old)
            to = &map.now;
        else
            *to += text[escaped ? ++i : i];
    }
    if (to == &map.old)
        return {};
    return map;
}

// As RFORK_MAP wants it.
std::string escaped(const std::string& path) {
    std::string text;
    for (const char c : path) {
        if (c == ':' || c == '=' || c == '\\')
            text += '\\';
        text += c;
    }
    return text;
}

std::string joined(const std::vector<std::string>& maps) {
    std::string text;
    for (const std::string& map : maps) {
        const std::optional<Map> parsed = parse(map);
        if (parsed)
            text += (text.empty() ? "" : ":") + escaped(parsed->old) + "=" + escaped(parsed->now);
    }
    return text;
}

Result<void> check(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file)
        return system_error(errno, "cannot open " + path);
    const Result<image::Header> header = image::read_front(file.get());
    if (!header)
        return Error{header.error().code, path + ": " + header.error().sentence};
    return {};
}

} // namespace

std::string trouble_with_map(const std::string& map) {
    const std::optional<Map> parsed = parse(map);
    if (!parsed)
        return "'" + map + "' is not OLD=NEW";
    if (!parsed->old.starts_with('/') || !parsed->now.starts_with('/'))
        return "'" + map + "' has a path that is not absolute";
    return {};
}

Result<void> restart(const RestartOptions& options) {
    if (Result<void> checked = check(options.image); !checked)
        return checked;
    if (!options.pid.empty())
        ::setenv("RFORK_PID", options.pid.c_str(), 1);
    if (options.stop)
        ::setenv("RFORK_STOP", "yes", 1);
    if (options.rollback)
        ::setenv("RFORK_FILES", "rollback", 1);
    if (!options.maps.empty())
        ::setenv("RFORK_MAP", joined(options.maps).c_str(), 1);
    ::execl(options.image.c_str(), options.image.c_str(), nullptr);
    const int error = errno;
    return system_error(error, "cannot execute " + options.image +
                                   (error == EACCES ? " (chmod +x makes it executable, where the "
                                                      "file system is not mounted noexec)"
                                                    : ""));
}

} // namespace rfork::tool
