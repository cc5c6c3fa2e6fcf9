#include "rexecd/child.h"

#include "base/unique_fd.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rexecd {

namespace {

constexpr int report_number = 3;

void default_signals() {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal)
        ::sigaction(signal, &by_default, nullptr); // fails for SIGKILL and the like; never mind
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int keep_only(int report) {
    if (report < 0) {
        ::close_range(report_number, ~0U, 0);
        return -1;
    }
    if (report != report_number)
        ::dup2(report, report_number);
    ::fcntl(report_number, F_SETFD, FD_CLOEXEC);
    ::close_range(report_number + 1, ~0U, 0);
    return report_number;
}

} // namespace

pid_t fork_child(int report, void (*body)(void* context, int report), void* context) {
    sigset_t all, before;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = ::fork();
    if (child == 0) {
        default_signals();
        int status = 0;
        try {
            body(context, keep_only(report));
        } catch (...) { // no memory; whoever waits for the report sees the pipe end
            status = 1;
        }
        ::_exit(status);
    }
    int error = errno;
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return child;
}

void end_all(const std::vector<pid_t>& children, int patience_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    for (pid_t child : children) {
        if (child <= 0)
            continue;
        const rfork::UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd ended{handle.get(), POLLIN, 0};
        if (!handle || ::poll(&ended, 1, std::max(int(left.count()), 0)) != 1)
            ::kill(child, SIGKILL);
        // One that hangs in a file system is left to init.
        if (handle && ::poll(&ended, 1, 1000) == 1)
            ::waitpid(child, nullptr, 0);
    }
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

} // namespace rexecd
