#include "rexecd/program_log.h"

#include "base/printable.h"
#include "remote/protocol.h"
#include "remote/spool.h"
#include "rexecd/host_name.h"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rexecd {

using namespace rfork;

namespace {

constexpr char our_pattern[] = "%n.%h.%p.out";
constexpr int names_to_try = 1000;

// As a part of a file name, that is neither hidden nor somewhere else.
std::string as_part(std::string_view text) {
    std::string part;
    for (char letter : text)
        part += letter == '/' || static_cast<unsigned char>(letter) < ' ' || letter == '\x7f'
                    ? '_'
                    : letter;
    if (part.empty() || part[0] == '.')
        part.insert(0, "_");
    return part;
}

std::string time_text() {
    const time_t now = ::time(nullptr);
    tm parts{};
    char text[32];
    ::gmtime_r(&now, &parts);
    return {text, ::strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &parts)};
}

std::string numbered(const std::string& path, int number) {
    return number == 1 ? path : path + "." + std::to_string(number);
}

// Names that begin so decide which copy runs.
bool may_be_taken_for_ours(const std::string& path) {
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    return name.starts_with(image::ticket_prefix) || name.starts_with(remote::temporary_prefix);
}

Result<ProgramLog> open_log(const std::string& path, int flags) {
    ProgramLog log;
    log.file.path = path;
    log.fd.reset(::open(path.c_str(),
                        O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600));
    if (!log.fd)
        return system_error(errno, "cannot open the log " + quoted(path),
                            "RFORK_LOG must name a file that you may write on the target");
    struct stat status;
    if (::fstat(log.fd.get(), &status) != 0)
        return system_error(errno, "cannot examine the log " + quoted(path));
    // One that was there before may be anything.
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid())
        return Error{EPERM, "the log " + quoted(path) +
                                " is there already and no regular file of your own: choose "
                                "another name by RFORK_LOG"};
    log.file.device = status.st_dev;
    log.file.inode = status.st_ino;
    return log;
}

} // namespace

std::string expand(const std::string& pattern, const LogName& name, pid_t process) {
    std::string text;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char next = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        switch (next) {
        case 'n':
            text += as_part(name.program);
            break;
        case 'h':
            text += as_part(host_name());
            break;
        case 'p':
            text += std::to_string(process);
            break;
        case 'i':
            text += name.image;
            break;
        case 't':
            text += time_text();
            break;
        case '%':
            text += '%';
            break;
        default:
            text += pattern[i];
            continue;
        }
        ++i;
    }
    return text;
}

Result<ProgramLog> open_program_log(const LogName& name, pid_t process) {
    const bool ours = name.pattern.empty();
    std::string path = expand(ours ? our_pattern : name.pattern, name, process);
    if (!path.starts_with('/'))
        path = name.directory + "/" + path;
    if (may_be_taken_for_ours(path))
        return Error{EINVAL, "the log " + quoted(path) +
                                 " would be called like a file of rfork's own: choose another name "
                                 "by RFORK_LOG"};
    if (path.size() > remote::max_log_name)
        return Error{ENAMETOOLONG,
                     "the log's name becomes longer than 512 bytes: shorten RFORK_LOG"};
    for (int number = 1; number <= names_to_try; ++number) {
        Result<ProgramLog> log = open_log(numbered(path, number), O_CREAT | O_EXCL);
        if (log || log.error().code != EEXIST) {
            if (log)
                log->is_new = true;
            return log;
        }
        if (ours)
            continue;
        return open_log(path, 0);
    }
    return Error{EEXIST,
                 "a thousand logs called " + quoted(path) + " are there already: remove some"};
}

std::string status_file_of(const std::string& log) {
    constexpr std::string_view suffix = ".out";
    return (log.ends_with(suffix) ? log.substr(0, log.size() - suffix.size()) : log) + ".status";
}

} // namespace rexecd
