/*
 * The timers of setitimer(2) and alarm(2): what remains of them and their intervals are as they
 * were, they go on by themselves, and none runs out early. Argument: which part.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

enum { SECOND = 1000000, DEADLINE = 30 };

static volatile sig_atomic_t ticks[3];

static void on_tick(int number) {
    ticks[number == SIGALRM ? ITIMER_REAL : number == SIGVTALRM ? ITIMER_VIRTUAL : ITIMER_PROF]++;
}

static long long us(const struct timeval *time) {
    return (long long)time->tv_sec * SECOND + time->tv_usec;
}

static long long now(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return (long long)time.tv_sec * SECOND + time.tv_nsec / 1000;
}

static void set(int which, long long value, long long interval) {
    const struct itimerval timer = {{interval / SECOND, interval % SECOND},
                                    {value / SECOND, value % SECOND}};
    CHECK(setitimer(which, &timer, NULL) == 0);
}

static long long remaining(int which) {
    struct itimerval timer;
    CHECK(getitimer(which, &timer) == 0);
    return us(&timer.it_value);
}

static long long interval(int which) {
    struct itimerval timer;
    CHECK(getitimer(which, &timer) == 0);
    return us(&timer.it_interval);
}

/* Uses the CPU until the timer has ticked `count` times more. */
static void wait_for_ticks(int which, int count) {
    const int enough = ticks[which] + count;
    const long long end = now(CLOCK_MONOTONIC) + DEADLINE * SECOND;
    while (ticks[which] < enough)
        CHECK(now(CLOCK_MONOTONIC) < end);
}

/* Far away, so that a slow machine makes no difference: seconds are measured, not waited for. */
static void keep_what_remains(void) {
    const long long values[3] = {3000LL * SECOND, 2000LL * SECOND, 1000LL * SECOND};
    const long long intervals[3] = {5000LL * SECOND, 0, 4000LL * SECOND};
    for (int which = 0; which < 3; which++)
        set(which, values[which], intervals[which]);
    freeze();
    for (int which = 0; which < 3; which++) {
        CHECK(remaining(which) <= values[which] + SECOND);
        CHECK(remaining(which) > values[which] - 100LL * SECOND);
        CHECK(interval(which) == intervals[which]);
        CHECK(ticks[which] == 0);
    }
}

static void go_on(int which) {
    const clockid_t clock = which == ITIMER_REAL ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
    const int part = which == ITIMER_REAL ? 1 : 4; /* CPU time counts in ticks, which hit or miss */
    set(which, 300000, 20000);
    freeze();
    const int ticked = ticks[which];
    const long long start = now(clock), left = remaining(which);
    CHECK(interval(which) == 20000);
    if (ticks[which] == ticked) {
        wait_for_ticks(which, 1);
        CHECK(now(clock) - start >= left / part);
    }
    wait_for_ticks(which, 3);
}

static void keep_alarm(void) {
    CHECK(alarm(1000) == 0);
    freeze();
    const unsigned left = alarm(1);
    CHECK(left > 900 && left <= 1000);
    wait_for_ticks(ITIMER_REAL, 1);
    CHECK(remaining(ITIMER_REAL) == 0 && alarm(0) == 0);
}

int main(int argc, char **argv) {
    const struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGVTALRM, &action, NULL) == 0 &&
          sigaction(SIGPROF, &action, NULL) == 0);
    const char *what = argc > 1 ? argv[1] : "what-remains";
    if (!strcmp(what, "what-remains"))
        keep_what_remains();
    else if (!strcmp(what, "alarm"))
        keep_alarm();
    else
        go_on(!strcmp(what, "real")      ? ITIMER_REAL
              : !strcmp(what, "virtual") ? ITIMER_VIRTUAL
                                         : ITIMER_PROF);
    return success();
}
