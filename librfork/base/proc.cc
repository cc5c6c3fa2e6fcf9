#include "base/proc.h"

#include "arch/arch.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sys/syscall.h>

namespace rfork {

int read_text(int directory, const char* path, std::string& text, std::size_t limit) {
    const long fd = arch::syscall(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return int(-fd);
    const std::size_t before = text.size();
    char buffer[4096];
    long got = 0;
    do {
        got = arch::syscall(SYS_read, fd, buffer, sizeof buffer);
        if (got > 0)
            text.append(buffer, std::size_t(got));
    } while ((got > 0 && text.size() - before < limit) || got == -EINTR);
    arch::syscall(SYS_close, fd);
    return got < 0 ? int(-got) : 0;
}

std::string text_of(const std::string& path, int directory) {
    std::string text;
    read_text(directory, path.c_str(), text);
    return text;
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

std::string path_of_descriptor(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

bool proc_has_own_pids() {
    char self[32] = {};
    return arch::syscall(SYS_readlinkat, AT_FDCWD, "/proc/self", self, sizeof self - 1) > 0 &&
           std::atol(self) == arch::syscall(SYS_getpid);
}

std::vector<pid_t> ids_in(const std::string& status) {
    const std::string line = field(status, "NSpid");
    std::vector<pid_t> ids;
    for (const char* at = line.c_str();;) {
        char* end = nullptr;
        const long id = std::strtol(at, &end, 10);
        if (end == at)
            return ids;
        ids.push_back(pid_t(id));
        at = end;
    }
}

pid_t own_id_in(const std::string& status) {
    const std::vector<pid_t> ids = ids_in(status);
    return ids.empty() ? 0 : ids.back();
}

pid_t id_at_level(std::size_t levels, const std::string& status) {
    const std::vector<pid_t> ids = ids_in(status);
    return levels == 0 || ids.size() < levels ? 0 : ids[levels - 1];
}

std::string fields_in_stat(const std::string& text) {
    const std::size_t name_end = text.rfind(')');
    return name_end == std::string::npos || name_end + 2 > text.size() ? ""
                                                                       : text.substr(name_end + 2);
}

std::vector<UserRange> known_users() {
    const std::string map = text_of("/proc/self/uid_map");
    std::vector<UserRange> users;
    UserRange range{};
    int used = 0;
    for (const char* line = map.c_str();
         std::sscanf(line, "%u %u %u%n", &range.inside, &range.outside, &range.count, &used) == 3;
         line += used)
        users.push_back(range);
    return users;
}

} // namespace rfork
