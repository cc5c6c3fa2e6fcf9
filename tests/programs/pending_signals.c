/*
 * Signals that wait, blocked, when the program is frozen: for the process and for the thread, with
 * their siginfo, in order, each of them once.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum { MANY = 50 };

static pid_t pid, child;
static volatile int handled[65], last_value[65], last_code[65];

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    handled[number]++;
    last_value[number] = info->si_value.sival_int;
    last_code[number] = info->si_code;
}

static sigset_t only(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

/* By the system call: glibc makes SI_USER of SI_TKILL. */
static siginfo_t take(int number) {
    const struct timespec at_once = {.tv_sec = 0};
    const sigset_t set = only(number);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    CHECK(syscall(SYS_rt_sigtimedwait, &set, &info, &at_once, 8) == number);
    CHECK(info.si_signo == number);
    return info;
}

static void none_left(int number) {
    const struct timespec at_once = {.tv_sec = 0};
    const sigset_t set = only(number);
    CHECK(sigtimedwait(&set, NULL, &at_once) == -1 && errno == EAGAIN);
}

static void queue(int number, int value) {
    CHECK(sigqueue(pid, number, (union sigval){.sival_int = value}) == 0);
}

static void queue_for_thread(int number, int value) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = 4711;
    info.si_uid = 815;
    info.si_value.sival_int = value;
    CHECK(syscall(SYS_rt_tgsigqueueinfo, pid, syscall(SYS_gettid), number, &info) == 0);
}

static void end_a_child(void) {
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(7);
    CHECK(waitpid(child, NULL, 0) == child);
}

/* Bits without siginfo: the queues are full. */
static void signal_without_room(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CHECK(setrlimit(RLIMIT_SIGPENDING, &none) == 0);
    CHECK(raise(SIGTRAP) == 0 && kill(pid, SIGRTMIN + 9) == 0);
    CHECK(sigqueue(pid, SIGRTMIN + 8, (union sigval){0}) == -1 && errno == EAGAIN);
    CHECK(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
}

static void let_wait(void) {
    queue(SIGRTMIN + 2, 1); /* not in the order of their numbers */
    queue_for_thread(SIGRTMIN + 2, 2);
    for (int i = 0; i < MANY; i++) {
        queue(SIGRTMIN + 1, i);
        if (i % 5 == 0)
            queue_for_thread(SIGRTMIN + 1, 1000 + i);
        if (i == 25) {
            CHECK(kill(pid, SIGUSR1) == 0 && kill(pid, SIGUSR1) == 0);
            CHECK(kill(pid, SIGRTMIN + 3) == 0 && kill(pid, SIGRTMIN + 3) == 0);
            end_a_child();
        }
    }
    CHECK(raise(SIGUSR2) == 0 && kill(pid, SIGUSR2) == 0);
    queue(SIGHUP, 3);
    queue(SIGTSTP, 4);
    queue(SIGCONT, 5);
    queue(SIGTERM, 6);
    CHECK(kill(pid, SIGPIPE) == 0); /* ignored, which a blocked one is not */
    queue(SIGRTMAX, 7);
    for (int i = 0; i < 3; i++)
        queue(SIGRTMAX - 1, 20 + i);
    queue_for_thread(SIGRTMAX - 1, 30);
    signal_without_room();
}

/* With their siginfo, a thread's own before the process's, each queue in order. */
static void take_with_siginfo(void) {
    siginfo_t info = take(SIGRTMIN + 2);
    CHECK(info.si_value.sival_int == 2 && info.si_pid == 4711 && info.si_uid == 815);
    info = take(SIGRTMIN + 2);
    CHECK(info.si_value.sival_int == 1 && info.si_pid == pid && info.si_uid == getuid());
    CHECK(info.si_code == SI_QUEUE);
    for (int i = 0; i < MANY; i += 5)
        CHECK(take(SIGRTMIN + 1).si_value.sival_int == 1000 + i);
    for (int i = 0; i < MANY; i++)
        CHECK(take(SIGRTMIN + 1).si_value.sival_int == i);

    info = take(SIGUSR1);
    CHECK(info.si_code == SI_USER && info.si_pid == pid);
    for (int i = 0; i < 2; i++) {
        info = take(SIGRTMIN + 3);
        CHECK(info.si_code == SI_USER && info.si_pid == pid);
    }
    info = take(SIGCHLD);
    CHECK(info.si_code == CLD_EXITED && info.si_pid == child && info.si_status == 7);
    CHECK(take(SIGUSR2).si_code == SI_TKILL && take(SIGUSR2).si_code == SI_USER);
    CHECK(take(SIGHUP).si_value.sival_int == 3);
    info = take(SIGTRAP);
    CHECK(info.si_code == SI_USER && info.si_pid == 0);
    info = take(SIGRTMIN + 9);
    CHECK(info.si_code == SI_USER && info.si_pid == 0);
    for (int number = 1; number <= SIGRTMIN + 9; number++)
        if (number != SIGCONT && number != SIGTERM && number != SIGPIPE && number != SIGKILL &&
            number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
            none_left(number);
}

/* By handlers, once the signals are let through. */
static void handle_the_rest(void) {
    CHECK(handled[SIGTERM] == 0 && handled[SIGRTMAX - 1] == 0);
    sigset_t none;
    sigemptyset(&none);
    CHECK(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    CHECK(handled[SIGTERM] == 1 && last_value[SIGTERM] == 6);
    CHECK(handled[SIGCONT] == 1 && last_value[SIGCONT] == 5);
    CHECK(handled[SIGTSTP] == 0); /* SIGCONT took it away, when it came */
    CHECK(handled[SIGPIPE] == 0);
    CHECK(handled[SIGRTMAX] == 1 && last_value[SIGRTMAX] == 7);
    CHECK(handled[SIGRTMAX - 1] == 4);
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigisemptyset(&pending));
}

/* The interval timer stands still until its signal is taken; then it goes on. */
static void keep_stopped_timer(void) {
    const struct itimerval timer = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_usec = 1}};
    const struct timespec deadline = {.tv_sec = 30};
    const sigset_t set = only(SIGALRM);
    struct itimerval left;
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    sigset_t pending;
    do
        CHECK(sigpending(&pending) == 0);
    while (!sigismember(&pending, SIGALRM));
    freeze();
    CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_interval.tv_usec == 20000);
    CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
    CHECK(take(SIGALRM).si_code == SI_KERNEL);
    for (int i = 0; i < 3; i++)
        CHECK(sigtimedwait(&set, NULL, &deadline) == SIGALRM);
}

int main(int argc, char **argv) {
    pid = getpid();
    sigset_t all;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
            CHECK(sigaction(number, &action, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);

    if (argc > 1 && !strcmp(argv[1], "timer")) {
        keep_stopped_timer();
        return success();
    }
    if (argc > 1 && !strcmp(argv[1], "standard")) {
        queue(SIGUSR1, 8);
        freeze();
        CHECK(take(SIGUSR1).si_value.sival_int == 8);
        none_left(SIGUSR1);
        return success();
    }
    sigset_t before, after;
    let_wait();
    CHECK(sigpending(&before) == 0);
    freeze();
    CHECK(sigpending(&after) == 0 && !memcmp(&before, &after, 8));
    take_with_siginfo();
    handle_the_rest();
    return success();
}
