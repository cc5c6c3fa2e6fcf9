// A line on standard error from inside somebody else's program.
#pragma once

#include <climits>
#include <csignal>
#include <ctime>
#include <poll.h>
#include <string_view>
#include <unistd.h>

namespace rfork {

// The program must neither die nor stop of it, nor wait for a reader that does not read (a full
// pipe, a terminal after ^S): then the line is left out. Nor may it find a SIGPIPE it has not
// caused.
inline void write_notice(std::string_view line) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return;
    line = line.substr(0, PIPE_BUF); // which a pipe that says POLLOUT takes
    sigset_t mine, before, pending;
    sigemptyset(&mine);
    sigaddset(&mine, SIGPIPE);
    sigaddset(&mine, SIGTTOU); // from a terminal with TOSTOP: the kernel writes if it is blocked
    pthread_sigmask(SIG_BLOCK, &mine, &before);
    sigpending(&pending);
    const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    if (written < 0 && !sigismember(&pending, SIGPIPE)) {
        const timespec at_once{};
        sigset_t pipe_signal;
        sigemptyset(&pipe_signal);
        sigaddset(&pipe_signal, SIGPIPE);
        sigtimedwait(&pipe_signal, nullptr, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

} // namespace rfork
