#include "moving.h"

#include "base/directory_names.h"
#include "base/proc.h"
#include "remote/decide_outcome.h"
#include "remote/user_directory.h"
#include "traced/admission.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace rfork::tool {
namespace {

constexpr char prefix[] = "moving.";

// $XDG_RUNTIME_DIR/rfork, or one in /tmp.
Result<std::string> runtime_directory() {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    const std::string path = runtime && *runtime == '/'
                                 ? std::string(runtime) + "/rfork"
                                 : "/tmp/rfork-" + std::to_string(geteuid());
    mkdir(path.c_str(), 0700);
    struct stat st;
    if (lstat(path.c_str(), &st) != 0)
        return system_error(errno, "cannot make '" + path + "'", "set XDG_RUNTIME_DIR");
    if (!S_ISDIR(st.st_mode) || !remote::is_private_directory(st, geteuid()))
        return Error{EPERM, "'" + path + "' is not a directory of this user's alone: remove it, or "
                                         "set XDG_RUNTIME_DIR"};
    return path;
}

// When a process began: pids are used again. Field 22 of proc(5)'s stat.
std::string start_of(pid_t pid) {
    std::istringstream fields(
        fields_in_stat(text_of("/proc/" + std::to_string(pid) + "/stat")));
    std::string value;
    for (int i = 3; i <= 22; ++i)
        fields >> value;
    return value;
}

std::string name_for(pid_t pid) {
    return prefix + std::to_string(pid) + "." + start_of(pid);
}

struct Record {
    pid_t pid = 0;
    std::string directory, ticket;
};

// Nothing if the rfork that wrote it lives.
Result<void> settle_record(const std::string& path, pid_t pid) {
    const UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file || flock(file.get(), LOCK_EX | LOCK_NB) != 0)
        return {};
    std::istringstream text(text_of(path));
    Record record{pid, {}, {}};
    const bool whole = std::getline(text, record.directory) && std::getline(text, record.ticket);
    const bool alive = path.ends_with("/" + name_for(pid));
    if (!whole || !alive) {
        unlink(path.c_str());
        return {};
    }
    remote::OpenDirectory directory(record.directory);
    const remote::Outcome outcome = remote::decide_outcome(
        {directory, record.ticket, false, remote::boottime_ms()});
    const bool runs = outcome == remote::Outcome::runs;
    const std::string label = capture::label_of(pid);
    if (kill(pid, runs ? SIGKILL : SIGCONT) != 0)
        return system_error(errno, "cannot signal " + label);
    unlink(path.c_str());
    std::fprintf(stderr, "rfork: note: an rfork that was moving %s was killed: %s\n", label.c_str(),
                 runs ? "it runs on the other host, so it has been ended here"
                      : "no copy runs, so it goes on here");
    return {};
}

} // namespace

Result<Moving> Moving::begin(pid_t pid, const std::string& directory, const std::string& ticket) {
    const Result<std::string> runtime = runtime_directory();
    if (!runtime)
        return runtime.error();
    std::string path = *runtime + "/" + name_for(pid);
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string text = directory + "\n" + ticket + "\n";
    if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ftruncate(fd.get(), 0) != 0 ||
        write(fd.get(), text.data(), text.size()) != ssize_t(text.size()))
        return system_error(errno, "cannot write down in '" + path + "' where " +
                                       capture::label_of(pid) + " goes");
    return Moving(std::move(path), std::move(fd));
}

Moving::~Moving() {
    if (fd_)
        unlink(path_.c_str());
}

Result<void> settle(pid_t pid) {
    const Result<std::string> runtime = runtime_directory();
    if (!runtime)
        return {}; // then nobody has written there either
    return settle_record(*runtime + "/" + name_for(pid), pid);
}

Result<void> settle_all() {
    const Result<std::string> runtime = runtime_directory();
    if (!runtime)
        return runtime.error();
    const UniqueFd directory(open(runtime->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::vector<std::string> names;
    for_each_name(directory.get(), [&](std::string_view name) {
        if (name.starts_with(prefix))
            names.emplace_back(name);
    });
    for (const std::string& name : names)
        if (Result<void> r = settle_record(*runtime + "/" + name,
                                           pid_t(std::atoi(name.c_str() + sizeof prefix - 1)));
            !r)
            return r;
    return {};
}

} // namespace rfork::tool
