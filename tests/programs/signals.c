/*
 * Signals: handlers with their flags and masks, ignored ones, the blocked mask, and the alternate
 * stack, all of it in use after the resume.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>

static char alternate[128 * 1024];
static volatile sig_atomic_t plain, with_info, value, on_alternate, blocked_inside, once;

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

static void on_once(int number) {
    (void)number;
    once++;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_plain, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action = (struct sigaction){.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaddset(&action.sa_mask, SIGHUP);
    sigaddset(&action.sa_mask, SIGUSR1);
    CHECK(sigaction(SIGRTMIN + 3, &action, NULL) == 0);
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

    CHECK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 4711}) == 0);
    CHECK(with_info == SIGRTMIN + 3 && value == 4711 && on_alternate && blocked_inside);
    CHECK(sigaction(SIGRTMIN + 3, NULL, &action) == 0);
    CHECK((action.sa_flags & (SA_SIGINFO | SA_ONSTACK)) == (SA_SIGINFO | SA_ONSTACK));
    CHECK(sigismember(&action.sa_mask, SIGHUP) == 1 && sigismember(&action.sa_mask, SIGINT) == 0);

    CHECK(raise(SIGUSR2) == 0 && once == 1);
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
