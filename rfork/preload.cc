#include "preload.h"

#include "base/proc.h"
#include "traced/admission.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

// Few programs use one of the last.
int signal_for_it() {
    return SIGRTMAX - 3;
}

Result<std::string> find_library() {
    char path[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    std::string prefix(path, size > 0 ? std::size_t(size) : 0);
    for (int up = 0; up < 2; ++up)
        prefix.resize(std::min(prefix.rfind('/'), prefix.size()));
    // As it is installed, and as it is built.
    for (const char* directory : {RFORK_LIBRARY_DIRECTORY, "librfork"}) {
        std::string library = prefix + "/" + directory + "/librfork-preload.so";
        if (access(library.c_str(), R_OK) == 0)
            return library;
    }
    return Error{ENOENT, "librfork-preload.so is not in '" + prefix +
                             "/" RFORK_LIBRARY_DIRECTORY "': install it there"};
}

Result<std::string> absolute(const std::string& path) {
    if (path.starts_with('/'))
        return path;
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof directory))
        return system_error(errno, "cannot tell the working directory");
    return std::string(directory) + "/" + path;
}

// Else the signal would be its end.
bool has_handler(pid_t program) {
    const std::string status = text_of("/proc/" + std::to_string(program) + "/status");
    const std::uint64_t caught = std::strtoull(field(status, "SigCgt").c_str(), nullptr, 16);
    return caught >> (signal_for_it() - 1) & 1;
}

bool has_ended(pid_t program) {
    siginfo_t info{};
    return waitid(P_PID, id_t(program), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == program;
}

} // namespace

Result<Preload> Preload::prepare(const std::string& image) {
    Preload preload;
    Result<std::string> library = find_library();
    if (!library)
        return library.error();
    Result<std::string> path = absolute(image);
    if (!path)
        return path.error();
    preload.library_ = std::move(*library);
    preload.image_ = std::move(*path);
    const std::string answer = preload.image_ + ".answer";
    unlink(answer.c_str());
    if (mkfifo(answer.c_str(), 0600) != 0)
        return system_error(errno, "cannot make the named pipe '" + answer +
                                       "', in which the program is to answer");
    preload.answer_ = answer;
    preload.reads_.reset(open(answer.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    if (!preload.reads_)
        return system_error(errno, "cannot open the named pipe '" + answer + "'");
    return preload;
}

Preload::~Preload() {
    if (reads_)
        unlink(answer_.c_str());
}

void Preload::set_environment() const {
    const char* others = std::getenv("LD_PRELOAD");
    const std::string all = library_ + (others && *others ? std::string(":") + others : "");
    setenv("LD_PRELOAD", all.c_str(), 1);
    setenv("RFORK_PRELOAD", (std::to_string(signal_for_it()) + ":" + image_).c_str(), 1);
}

Result<void> Preload::checkpoint(pid_t program) const {
    constexpr int interval_ms = 200; // in which it may have ended
    const pid_t behind = capture::program_behind(program);
    if (!has_handler(behind))
        return Error{ENOTSUP,
                     "the program has not loaded librfork-preload.so, or does not listen to "
                     "its signal any more: it may be linked statically, or have other "
                     "rights than its user"};
    if (kill(behind, signal_for_it()) != 0)
        return system_error(errno, "cannot signal the program");
    std::string answer;
    while (answer.find('\n') == std::string::npos) {
        pollfd ready{reads_.get(), POLLIN, 0};
        char buffer[2048];
        const ssize_t got =
            poll(&ready, 1, interval_ms) == 1 ? read(reads_.get(), buffer, sizeof buffer) : 0;
        if (got > 0)
            answer.append(buffer, std::size_t(got));
        else if (has_ended(program))
            return Error{ESRCH, "the program has ended"};
    }
    answer.resize(answer.find('\n'));
    if (answer == "done")
        return {};
    return Error{ENOTSUP, answer};
}

} // namespace rfork::tool
