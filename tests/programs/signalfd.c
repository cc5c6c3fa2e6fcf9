/*
 * signalfd(2): the set of signals, flags, duplicates; signals sent after the resume arrive there.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/signalfd.h>

static int take(int fd) {
    struct signalfd_siginfo info;
    const ssize_t got = read(fd, &info, sizeof info);
    if (got == -1 && errno == EAGAIN)
        return 0;
    CHECK(got == sizeof info && info.ssi_pid == (uint32_t)getpid());
    return (int)info.ssi_signo;
}

static sigset_t set(int one, int other) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, one);
    sigaddset(&mask, other);
    return mask;
}

int main(void) {
    const sigset_t user = set(SIGUSR1, SIGUSR2), real_time = set(SIGRTMIN + 3, SIGRTMAX);
    sigset_t all;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    const int first = signalfd(-1, &user, SFD_NONBLOCK), second = signalfd(-1, &real_time, 0);
    const int again = dup(first);
    CHECK(first >= 0 && second >= 0 && again >= 0);
    CHECK(fcntl(second, F_SETFD, FD_CLOEXEC) == 0);

    freeze();

    CHECK(fcntl(second, F_GETFD) == FD_CLOEXEC && fcntl(second, F_GETFL) == O_RDWR);
    CHECK(take(first) == 0 && take(again) == 0);
    CHECK(raise(SIGUSR2) == 0 && take(again) == SIGUSR2 && take(first) == 0);
    CHECK(raise(SIGRTMAX) == 0 && take(first) == 0 && take(second) == SIGRTMAX);
    CHECK(raise(SIGRTMIN + 3) == 0 && take(second) == SIGRTMIN + 3);
    CHECK(raise(SIGHUP) == 0 && take(first) == 0);
    const sigset_t changed = set(SIGHUP, SIGUSR1);
    CHECK(signalfd(first, &changed, 0) == first && take(again) == SIGHUP);
    return success();
}
