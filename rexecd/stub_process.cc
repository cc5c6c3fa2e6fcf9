#include "rexecd/stub_process.h"

#include "base/unique_fd.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rexecd {

namespace {

constexpr int patience_ms = 10 * 60 * 1000;
constexpr int death_ms = 5000;

} // namespace

Voice hear(int status, rfork::image::StatusMessage& message) {
    pollfd ready{status, POLLIN, 0};
    int count;
    while ((count = ::poll(&ready, 1, patience_ms)) < 0 && errno == EINTR) {
    }
    if (count <= 0)
        return Voice::silent;
    ssize_t size = ::read(status, &message, sizeof(message));
    if (size != static_cast<ssize_t>(sizeof(message)) ||
        message.magic != rfork::image::status_magic)
        return Voice::ended;
    for (char* last : {&message.sentence[sizeof(message.sentence) - 1],
                       &message.program[sizeof(message.program) - 1],
                       &message.running[sizeof(message.running) - 1]})
        *last = '\0'; // the image's word
    return Voice::spoke;
}

bool has_died(pid_t process) {
    rfork::UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    pollfd ready{handle.get(), POLLIN, 0};
    return handle && ::poll(&ready, 1, death_ms) > 0;
}

std::string death_of(pid_t process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    if (WIFSIGNALED(status))
        return std::string("died of signal ") + std::to_string(WTERMSIG(status)) + " (" +
               ::sigdescr_np(WTERMSIG(status)) + ")";
    return "ended with status " + std::to_string(WEXITSTATUS(status));
}

void end(pid_t process) {
    ::kill(process, SIGKILL);
    if (has_died(process))
        ::waitpid(process, nullptr, 0);
}

} // namespace rexecd
