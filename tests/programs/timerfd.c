/*
 * timerfd_create(2): the time that remains, also to an absolute one; periods and their phase;
 * expirations not yet read; one-shot timers that have expired; flags, duplicates, clocks. A timer
 * set to CLOCK_REALTIME expires when that shows the time.
 */
#include "frozen.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>

enum { MS = 1000000, SECOND = 1000 * MS };

static int64_t now(clockid_t clock) {
    struct timespec ts;
    CHECK(clock_gettime(clock, &ts) == 0);
    return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec;
}

static struct timespec time_of(int64_t ns) {
    const struct timespec ts = {.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
    return ts;
}

static int timer(clockid_t clock, int flags, int64_t value, int64_t interval) {
    const int fd = timerfd_create(clock, 0);
    const struct itimerspec setting = {.it_value = time_of(value),
                                       .it_interval = time_of(interval)};
    CHECK(fd >= 0 && timerfd_settime(fd, flags, &setting, NULL) == 0);
    return fd;
}

static int64_t remaining(int fd) {
    struct itimerspec setting;
    CHECK(timerfd_gettime(fd, &setting) == 0);
    return (int64_t)setting.it_value.tv_sec * SECOND + setting.it_value.tv_nsec;
}

static int64_t interval(int fd) {
    struct itimerspec setting;
    CHECK(timerfd_gettime(fd, &setting) == 0);
    return (int64_t)setting.it_interval.tv_sec * SECOND + setting.it_interval.tv_nsec;
}

static void wait_for(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    CHECK(poll(&poll_fd, 1, 20000) == 1);
}

static int expired(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static int64_t take(int fd) {
    uint64_t count = 0;
    CHECK(read(fd, &count, sizeof count) == sizeof count);
    return (int64_t)count;
}

static int is_hours(int64_t ns, int64_t hours) {
    return ns <= hours * 3600 * SECOND && ns > hours * 3600 * SECOND - 60 * (int64_t)SECOND;
}

int main(void) {
    const int64_t hour = 3600 * (int64_t)SECOND;
    const int relative = timer(CLOCK_MONOTONIC, 0, hour, 0);
    const int absolute =
        timer(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, now(CLOCK_MONOTONIC) + 2 * hour, 7);
    const int boot = timer(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, now(CLOCK_BOOTTIME) + 3 * hour, 0);
    const int64_t date = now(CLOCK_REALTIME) + 4 * hour;
    const int calendar =
        timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, date, 0);
    const int idle = timer(CLOCK_MONOTONIC, 0, 0, 0);
    const int read_already = timer(CLOCK_MONOTONIC, 0, 1, 0);
    CHECK(take(read_already) == 1);
    const int unread = timer(CLOCK_MONOTONIC, 0, 1, 0);
    wait_for(unread);

    /* Periodic, five of them unread; the next one is half a period off. */
    const int64_t period = now(CLOCK_MONOTONIC) / 6;
    const int many = timer(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME,
                           now(CLOCK_MONOTONIC) - 4 * period - period / 2, period);
    const int dates =
        timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) - 4 * hour - hour / 2, hour);
    wait_for(many);
    wait_for(dates);

    /* One that would wake the machine up, if the program may have it. */
    int alarm_clock = timerfd_create(CLOCK_BOOTTIME_ALARM, 0);
    if (alarm_clock >= 0) {
        CHECK(close(alarm_clock) == 0);
        alarm_clock =
            timer(CLOCK_BOOTTIME_ALARM, TFD_TIMER_ABSTIME, now(CLOCK_BOOTTIME) + 5 * hour, 0);
    }

    const int soon_ms = 300;
    const int soon = timer(CLOCK_MONOTONIC, 0, soon_ms * (int64_t)MS, 0);
    const int ticking = timer(CLOCK_MONOTONIC, 0, 20 * MS, 20 * MS);
    const int again = dup(ticking);
    CHECK(fcntl(again, F_SETFD, FD_CLOEXEC) == 0 && fcntl(soon, F_SETFL, O_NONBLOCK) == 0);
    const int64_t left_before = remaining(soon);

    freeze();

    const int64_t resumed = now(CLOCK_MONOTONIC), left = remaining(soon);
    CHECK(left <= left_before && interval(soon) == 0);
    CHECK(is_hours(remaining(relative), 1) && !expired(relative));
    CHECK(is_hours(remaining(absolute), 2) && interval(absolute) == 7);
    CHECK(is_hours(remaining(boot), 3));
    CHECK(alarm_clock < 0 || is_hours(remaining(alarm_clock), 5));
    const int64_t to_date = now(CLOCK_REALTIME) + remaining(calendar) - date;
    CHECK(to_date > -(int64_t)SECOND && to_date < SECOND);
    CHECK(remaining(idle) == 0 && !expired(idle));
    CHECK(remaining(read_already) == 0 && !expired(read_already));
    CHECK(expired(unread) && take(unread) == 1 && !expired(unread) && remaining(unread) == 0);

    CHECK(expired(many) && take(many) == 5 && !expired(many));
    CHECK(interval(many) == period && remaining(many) <= period / 2 && remaining(many) > 0);
    CHECK(expired(dates) && take(dates) == 5 && !expired(dates));
    CHECK(interval(dates) == hour && is_hours(remaining(dates) + hour / 2, 1));

    wait_for(soon);
    CHECK(left == 0 || now(CLOCK_MONOTONIC) >= resumed + left);
    CHECK(take(soon) == 1);
    uint64_t count;
    CHECK(read(soon, &count, sizeof count) == -1 && errno == EAGAIN);

    CHECK(interval(again) == 20 * MS && take(again) >= 1);
    CHECK(take(ticking) >= 1); /* blocks until it ticks again */
    CHECK(fcntl(again, F_GETFD) == FD_CLOEXEC && fcntl(ticking, F_GETFD) == 0);
    return success();
}
