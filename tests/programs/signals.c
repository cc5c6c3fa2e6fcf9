/*
 * Signals: handlers with their flags and masks, ignored ones, the blocked mask, and the alternate
 * stack, all of it in use after the resume. With the argument "nocldwait", children leave no zombie
 * behind although SIGCHLD is handled.
 */
#include "frozen.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static char alternate[128 * 1024];
static volatile sig_atomic_t plain, with_info, value, on_alternate, blocked_inside, once, deepest;

static void on_plain(int number) {
    plain = number;
}

static void on_info(int number, siginfo_t *info, void *context) {
    char here;
    sigset_t mask;
    with_info = number;
    value = info->si_value.sival_int;
    on_alternate = &here > alternate && &here < alternate + sizeof alternate;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    blocked_inside = sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGHUP) &&
                     ((ucontext_t *)context)->uc_stack.ss_sp == alternate;
}

/* Each handler is good for one signal, and does not block it. */
static void on_once(int number) {
    static int depth;
    if (++depth > deepest)
        deepest = depth;
    if (++once == 1) {
        const struct sigaction again = {.sa_handler = on_once, .sa_flags = (int)SA_RESETHAND};
        CHECK(sigaction(number, &again, NULL) == 0 && raise(number) == 0);
    }
    depth--;
}

static int is_interrupted_by(int number) {
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    const pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0) { /* signals until the parent is out of its read */
        const struct timespec pause = {.tv_nsec = 2000000};
        struct pollfd gone = {.fd = ends[1], .events = POLLERR};
        close(ends[0]);
        for (int i = 0; i < 20; i++) {
            nanosleep(&pause, NULL);
            if (poll(&gone, 1, 0) == 1)
                _exit(0);
            kill(parent, number);
        }
        _exit(write(ends[1], "", 1) != 1);
    }
    close(ends[1]);
    const ssize_t got = read(ends[0], &byte, 1);
    CHECK(got == 1 || errno == EINTR);
    close(ends[0]);
    CHECK(waitpid(child, NULL, 0) == -1 && errno == ECHILD);
    return got != 1;
}

static void handle_children(void) {
    struct sigaction action = {.sa_handler = on_plain, .sa_flags = SA_NOCLDWAIT | SA_NOCLDSTOP};
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
    freeze();
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == -1 && errno == ECHILD && plain == SIGCHLD);
    CHECK(sigaction(SIGCHLD, NULL, &action) == 0);
    CHECK((action.sa_flags & (SA_NOCLDWAIT | SA_NOCLDSTOP)) == (SA_NOCLDWAIT | SA_NOCLDSTOP));
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "nocldwait")) {
        handle_children();
        return success();
    }
    struct sigaction action = {.sa_handler = on_plain, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action = (struct sigaction){.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaddset(&action.sa_mask, SIGHUP);
    sigaddset(&action.sa_mask, SIGUSR1);
    CHECK(sigaction(SIGRTMIN + 3, &action, NULL) == 0);
    action = (struct sigaction){.sa_handler = on_plain};
    CHECK(sigaction(SIGHUP, &action, NULL) == 0);
    action =
        (struct sigaction){.sa_handler = on_once, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGRTMAX, SIG_IGN) != SIG_ERR);
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    CHECK(sigaltstack(&stack, NULL) == 0);
    sigset_t mask, now;
    sigemptyset(&mask);
    sigaddset(&mask, SIGWINCH);
    sigaddset(&mask, SIGRTMIN + 7);
    CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);

    freeze();

    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number < 32 || number >= SIGRTMIN)
            CHECK(sigismember(&now, number) == (number == SIGWINCH || number == SIGRTMIN + 7));

    CHECK(kill(getpid(), SIGUSR1) == 0 && plain == SIGUSR1);
    CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == on_plain);
    CHECK(action.sa_flags & SA_RESTART);
    CHECK(!is_interrupted_by(SIGUSR1) && is_interrupted_by(SIGHUP));

    CHECK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 4711}) == 0);
    CHECK(with_info == SIGRTMIN + 3 && value == 4711 && on_alternate && blocked_inside);
    CHECK(sigaction(SIGRTMIN + 3, NULL, &action) == 0);
    CHECK((action.sa_flags & (SA_SIGINFO | SA_ONSTACK)) == (SA_SIGINFO | SA_ONSTACK));
    CHECK(sigismember(&action.sa_mask, SIGHUP) == 1 && sigismember(&action.sa_mask, SIGINT) == 0);

    CHECK(sigaction(SIGUSR2, NULL, &action) == 0);
    CHECK((action.sa_flags & (int)SA_RESETHAND) && (action.sa_flags & SA_NODEFER));
    CHECK(raise(SIGUSR2) == 0 && once == 2 && deepest == 2);
    CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_DFL);

    CHECK(raise(SIGPIPE) == 0 && raise(SIGRTMAX) == 0);
    CHECK(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK(raise(SIGWINCH) == 0); /* waits */
    sigset_t waiting;
    CHECK(sigpending(&waiting) == 0 && sigismember(&waiting, SIGWINCH) == 1);

    stack_t current;
    CHECK(sigaltstack(NULL, &current) == 0 && current.ss_sp == alternate);
    CHECK(current.ss_size == sizeof alternate && current.ss_flags == 0);

    /* SIGCHLD ignored: children leave no zombie behind. */
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == -1 && errno == ECHILD);
    return success();
}
