/*
 * The timers of timer_create(2): their numbers, clocks, signals and values, what remains of them
 * and their intervals, and that they go on. Argument: which part.
 */
#include "frozen.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#define NS 1000000000LL

/* The kernel's own interface, since the numbers are its own. */
typedef int kernel_timer;

static kernel_timer create(clockid_t clock, int notify, int signal, uint64_t value) {
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal};
    event.sigev_value.sival_ptr = (void *)value;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    kernel_timer timer = -1;
    CHECK(syscall(SYS_timer_create, clock, &event, &timer) == 0);
    return timer;
}

static struct timespec time_of(long long ns) {
    return (struct timespec){.tv_sec = ns / NS, .tv_nsec = ns % NS};
}

static void set(kernel_timer timer, long long value, long long interval) {
    const struct itimerspec times = {.it_interval = time_of(interval), .it_value = time_of(value)};
    CHECK(syscall(SYS_timer_settime, timer, 0, &times, NULL) == 0);
}

static void get(kernel_timer timer, long long *value, long long *interval) {
    struct itimerspec times;
    CHECK(syscall(SYS_timer_gettime, timer, &times) == 0);
    *value = times.it_value.tv_sec * NS + times.it_value.tv_nsec;
    *interval = times.it_interval.tv_sec * NS + times.it_interval.tv_nsec;
}

static long long remaining(kernel_timer timer) {
    long long value, interval;
    get(timer, &value, &interval);
    return value;
}

static long long now(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return time.tv_sec * NS + time.tv_nsec;
}

static sigset_t only(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

/* The next signal `number`, which is blocked; its siginfo. */
static siginfo_t await(int number) {
    const struct timespec deadline = {.tv_sec = 30};
    const sigset_t set = only(number);
    siginfo_t info;
    int got;
    while ((got = sigtimedwait(&set, &info, &deadline)) < 0 && errno == EINTR) {
    }
    CHECK(got == number);
    return info;
}

static int is_pending(int number) {
    sigset_t pending;
    CHECK(sigpending(&pending) == 0);
    return sigismember(&pending, number);
}

static void none_left(int number) {
    const struct timespec at_once = {.tv_sec = 0};
    const sigset_t set = only(number);
    CHECK(sigtimedwait(&set, NULL, &at_once) == -1 && errno == EAGAIN);
}

static void await_pending(int number) {
    const long long end = now(CLOCK_MONOTONIC) + 30 * NS;
    while (!is_pending(number))
        CHECK(now(CLOCK_MONOTONIC) < end);
}

/* Far away, so that a slow machine makes no difference. */
static void keep_what_remains(void) {
    clockid_t of_process, of_thread;
    CHECK(clock_getcpuclockid(getpid(), &of_process) == 0 &&
          pthread_getcpuclockid(pthread_self(), &of_thread) == 0);
    struct {
        clockid_t clock;
        int notify, signal;
        long long value, interval;
        kernel_timer timer;
    } timers[] = {
        {CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 3000 * NS + 5, 7000 * NS + 1, 0},
        {CLOCK_REALTIME, SIGEV_NONE, 0, 2000 * NS, 0, 0},
        {CLOCK_BOOTTIME, SIGEV_THREAD_ID, SIGRTMIN + 2, 4000 * NS, 500 * NS, 0},
        {CLOCK_MONOTONIC, SIGEV_NONE, SIGUSR1, 4000 * NS, 900 * NS, 0},
        {CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, 1000 * NS, 0, 0},
        {CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, 1100 * NS, 0, 0},
        {of_process, SIGEV_SIGNAL, SIGUSR2, 1200 * NS, 5 * NS, 0},
        {of_thread, SIGEV_THREAD_ID, SIGUSR2, 1300 * NS, 6 * NS, 0},
        {CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 0, 0, 0},
    };
    const int count = sizeof timers / sizeof timers[0];
    for (int i = 0; i < count; i++) {
        for (int gap = 0; gap < 3 * i; gap++) /* numbers with gaps */
            CHECK(syscall(SYS_timer_delete, create(CLOCK_REALTIME, SIGEV_NONE, 0, 0)) == 0);
        timers[i].timer =
            create(timers[i].clock, timers[i].notify, timers[i].signal, 0x123456789abcdefu * i);
        if (timers[i].value)
            set(timers[i].timer, timers[i].value, timers[i].interval);
    }
    CHECK(timers[count - 1].timer > count);

    freeze();

    for (int i = 0; i < count; i++) {
        long long value, interval;
        get(timers[i].timer, &value, &interval);
        CHECK(value <= timers[i].value && value >= timers[i].value - 100 * NS);
        CHECK(interval == timers[i].interval);
    }
    for (int i = 0; i < count; i++) { /* and its signal is what it was */
        if (timers[i].notify == SIGEV_NONE)
            continue;
        set(timers[i].timer, 1000000, 0);
        const long long end = now(CLOCK_MONOTONIC) + 30 * NS;
        while (remaining(timers[i].timer))
            CHECK(now(CLOCK_MONOTONIC) < end);
        const siginfo_t info = await(timers[i].signal);
        CHECK(info.si_code == SI_TIMER && info.si_timerid == timers[i].timer);
        CHECK(info.si_value.sival_ptr == (void *)(0x123456789abcdefu * i));
        CHECK(info.si_overrun == 0);
        none_left(timers[i].signal);
    }
    for (int i = 0; i < count; i++)
        CHECK(syscall(SYS_timer_delete, timers[i].timer) == 0);
    char list[4096];
    CHECK(slurp("/proc/self/timers", list, sizeof list) == 0);
}

static void go_on(void) {
    const long long start_interval = 20000000;
    const kernel_timer timer = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 7);
    set(timer, 300000000, start_interval);
    freeze();
    const long long start = now(CLOCK_MONOTONIC), left = remaining(timer);
    siginfo_t info = await(SIGRTMIN);
    CHECK(info.si_value.sival_int == 7 && info.si_timerid == timer);
    if (left > start_interval) /* this call of freeze() took less than the first of it */
        CHECK(now(CLOCK_MONOTONIC) - start >= left);
    for (int i = 0; i < 3; i++)
        await(SIGRTMIN);

    /* A program that does not look gets one signal, and the number of those it missed. */
    await_pending(SIGRTMIN);
    const long long until = now(CLOCK_MONOTONIC) + 5 * start_interval;
    while (now(CLOCK_MONOTONIC) < until) {
    }
    info = await(SIGRTMIN);
    CHECK(info.si_overrun >= 4 && syscall(SYS_timer_getoverrun, timer) == info.si_overrun);
    set(timer, 0, 0);
}

static void take_value(int number, int code, int value) {
    const siginfo_t info = await(number);
    CHECK(info.si_code == code && info.si_value.sival_int == value);
    CHECK(code == SI_TIMER || info.si_pid != 0);
}

/* A timer whose signal waits when the program is frozen is one signal, at its place in the queue.
 */
static void keep_expired(void) {
    const kernel_timer once = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 2);
    const kernel_timer twice = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN, 4);
    CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}) == 0);
    set(once, 1, 0);
    while (remaining(once)) {
    }
    CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 3}) == 0);
    set(twice, 1, 0);
    while (remaining(twice)) {
    }
    CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}) == 0);

    const kernel_timer directed = create(CLOCK_BOOTTIME, SIGEV_THREAD_ID, SIGRTMIN + 1, 6);
    const kernel_timer standard = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 7);
    create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR2, 8);
    const kernel_timer again = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 2, 9);
    const kernel_timer deleted = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3, 10);
    for (kernel_timer timer = directed; timer <= deleted; timer++)
        set(timer, 1, 0);
    for (int number = SIGRTMIN + 1; number <= SIGRTMIN + 3; number++)
        await_pending(number);
    await_pending(SIGUSR1);
    await_pending(SIGUSR2);
    set(again, 1000 * NS, 0);
    CHECK(syscall(SYS_timer_delete, deleted) == 0);

    const int outcome = freeze();

    take_value(SIGRTMIN, SI_QUEUE, 1);
    take_value(SIGRTMIN, SI_TIMER, 2);
    take_value(SIGRTMIN, SI_QUEUE, 3);
    take_value(SIGRTMIN, SI_TIMER, 4);
    take_value(SIGRTMIN, SI_QUEUE, 5);
    none_left(SIGRTMIN);
    take_value(SIGRTMIN + 1, SI_TIMER, 6);
    take_value(SIGUSR1, SI_TIMER, 7);
    take_value(SIGUSR2, SI_TIMER, 8); /* of CPU time */
    CHECK(remaining(again) > 900 * NS);
    if (outcome == CHILD) { /* in the caller, the kernel may hand them out (before Linux 6.13) */
        none_left(SIGRTMIN + 2);
        none_left(SIGRTMIN + 3);
    }
    for (kernel_timer timer = once; timer <= standard; timer++)
        CHECK(remaining(timer) == 0);
    none_left(SIGRTMIN + 1);
    none_left(SIGUSR1);
    none_left(SIGUSR2);
}

/* One of its signals waits: one signal, the overruns, and the timer goes on in step. */
static void keep_expired_interval(clockid_t clock) {
    const long long interval = 50000000;
    const kernel_timer timer = create(clock, SIGEV_SIGNAL, SIGRTMIN, 11);
    set(timer, 1, interval);
    await_pending(SIGRTMIN);
    freeze();
    CHECK(is_pending(SIGRTMIN));
    const long long until = now(clock) + 3 * interval;
    while (now(clock) < until) {
    }
    const siginfo_t info = await(SIGRTMIN);
    CHECK(info.si_code == SI_TIMER && info.si_timerid == timer && info.si_value.sival_int == 11);
    CHECK(info.si_overrun >= 2);
    CHECK(remaining(timer) > 0 && remaining(timer) <= interval);
    const long long end = now(CLOCK_MONOTONIC) + 30 * NS;
    while (!is_pending(SIGRTMIN))
        CHECK(now(CLOCK_MONOTONIC) < end);
    CHECK(await(SIGRTMIN).si_value.sival_int == 11);
    set(timer, 0, 0);
}

/* It ran out a minute ago, and its interval has forty seconds to go. */
static void keep_step(void) {
    const kernel_timer timer = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN, 13);
    const struct itimerspec times = {.it_interval = time_of(100 * NS),
                                     .it_value = time_of(now(CLOCK_REALTIME) - 60 * NS)};
    CHECK(syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &times, NULL) == 0);
    await_pending(SIGRTMIN);
    freeze();
    CHECK(remaining(timer) <= 40 * NS && remaining(timer) > 20 * NS);
    CHECK(await(SIGRTMIN).si_overrun == 0);
    CHECK(remaining(timer) <= 40 * NS && remaining(timer) > 20 * NS);
}

static int calls;
static void on_thread(union sigval value) {
    CHECK(value.sival_int == 12);
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void call_a_thread(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread};
    event.sigev_value.sival_int = 12;
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    const struct itimerspec times = {.it_interval = time_of(20000000), .it_value = time_of(1)};
    CHECK(timer_settime(timer, 0, &times, NULL) == 0);
    freeze();
    const int before = __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
    const long long end = now(CLOCK_MONOTONIC) + 30 * NS;
    while (__atomic_load_n(&calls, __ATOMIC_SEQ_CST) < before + 3)
        CHECK(now(CLOCK_MONOTONIC) < end);
    CHECK(timer_delete(timer) == 0);
}

int main(int argc, char **argv) {
    sigset_t all;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
    const char *what = argc > 1 ? argv[1] : "what-remains";
    if (!strcmp(what, "what-remains"))
        keep_what_remains();
    else if (!strcmp(what, "go-on"))
        go_on();
    else if (!strcmp(what, "expired"))
        keep_expired();
    else if (!strcmp(what, "expired-interval"))
        keep_expired_interval(CLOCK_MONOTONIC);
    else if (!strcmp(what, "expired-realtime"))
        keep_expired_interval(CLOCK_REALTIME);
    else if (!strcmp(what, "expired-step"))
        keep_step();
    else if (!strcmp(what, "expired-cpu"))
        keep_expired_interval(CLOCK_PROCESS_CPUTIME_ID);
    else if (!strcmp(what, "thread"))
        call_a_thread();
    else
        CHECK(!"a known part");
    return success();
}
