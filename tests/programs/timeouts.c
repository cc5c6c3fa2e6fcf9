/*
 * Threads that wait with a time-out, in every call that has one, frozen in the middle: in the
 * caller and in the copy none returns early, all return, and each says that time is up. An absolute
 * time-out that has passed when the copy comes to life is over at once; a relative one may begin
 * anew there. Timers that start threads go on as well.
 */
#include "frozen_threads.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>

static const int64_t duration = 2 * (int64_t)SECOND;

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, held_inheriting;
static pthread_rwlock_t held_for_writing = PTHREAD_RWLOCK_INITIALIZER;
static int silent[2]; /* a pipe in which nothing comes */
static sigset_t never_sent;

/* --- absolute time-outs: the argument is a point in time of the waiter's clock ------------------
 */

static void sleep_until_monotonic(const struct timespec *due) {
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL) == 0);
}
static void sleep_until_realtime(const struct timespec *due) {
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, due, NULL) == 0);
}
static void sleep_until_boottime(const struct timespec *due) {
    CHECK(clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, due, NULL) == 0);
}

static void wait_for_condition(clockid_t clock, int by_attribute, const struct timespec *due) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(!by_attribute || pthread_condattr_setclock(&attributes, clock) == 0);
    CHECK(pthread_cond_init(&condition, &attributes) == 0);
    CHECK(pthread_mutex_lock(&mutex) == 0);
    int error;
    do /* it may wake up for no reason */
        error = by_attribute ? pthread_cond_timedwait(&condition, &mutex, due)
                             : pthread_cond_clockwait(&condition, &mutex, clock, due);
    while (error == 0);
    CHECK(error == ETIMEDOUT);
    CHECK(pthread_mutex_unlock(&mutex) == 0);
}
static void condition_realtime(const struct timespec *due) {
    wait_for_condition(CLOCK_REALTIME, 1, due);
}
static void condition_monotonic(const struct timespec *due) {
    wait_for_condition(CLOCK_MONOTONIC, 1, due);
}
static void condition_clockwait(const struct timespec *due) {
    wait_for_condition(CLOCK_MONOTONIC, 0, due);
}

static void semaphore_realtime(const struct timespec *due) {
    sem_t semaphore;
    CHECK(sem_init(&semaphore, 0, 0) == 0);
    CHECK(sem_timedwait(&semaphore, due) == -1 && errno == ETIMEDOUT);
}
static void semaphore_monotonic(const struct timespec *due) {
    sem_t semaphore;
    CHECK(sem_init(&semaphore, 0, 0) == 0);
    CHECK(sem_clockwait(&semaphore, CLOCK_MONOTONIC, due) == -1 && errno == ETIMEDOUT);
}
static void mutex_realtime(const struct timespec *due) {
    CHECK(pthread_mutex_timedlock(&held, due) == ETIMEDOUT);
}
static void mutex_monotonic(const struct timespec *due) {
    CHECK(pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, due) == ETIMEDOUT);
}
static void mutex_inheriting(const struct timespec *due) {
    CHECK(pthread_mutex_timedlock(&held_inheriting, due) == ETIMEDOUT);
}
static void read_lock(const struct timespec *due) {
    CHECK(pthread_rwlock_timedrdlock(&held_for_writing, due) == ETIMEDOUT);
}
static void write_lock(const struct timespec *due) {
    CHECK(pthread_rwlock_clockwrlock(&held_for_writing, CLOCK_MONOTONIC, due) == ETIMEDOUT);
}

static void wait_on_word(int operation, const struct timespec *time) {
    int word = 5;
    CHECK(syscall(SYS_futex, &word, operation, 5, time, NULL, FUTEX_BITSET_MATCH_ANY) == -1 &&
          errno == ETIMEDOUT);
}
static void futex_monotonic(const struct timespec *due) {
    wait_on_word(FUTEX_WAIT_BITSET_PRIVATE, due);
}
static void futex_realtime(const struct timespec *due) {
    wait_on_word(FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, due);
}

static void wait_for_descriptor(clockid_t clock, int flags, const struct timespec *time) {
    const struct itimerspec once = {.it_value = *time};
    const int fd = timerfd_create(clock, 0);
    uint64_t expirations = 0;
    CHECK(fd >= 0 && timerfd_settime(fd, flags, &once, NULL) == 0);
    CHECK(read(fd, &expirations, sizeof expirations) == sizeof expirations && expirations == 1);
    CHECK(close(fd) == 0);
}
static void descriptor_realtime(const struct timespec *due) {
    wait_for_descriptor(CLOCK_REALTIME, TFD_TIMER_ABSTIME, due);
}
static void descriptor_monotonic(const struct timespec *due) {
    wait_for_descriptor(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, due);
}

/* --- relative time-outs: the argument is a duration
 * ----------------------------------------------- */

static void sleep_for(const struct timespec *time) {
    CHECK(nanosleep(time, NULL) == 0);
}
static void sleep_for_boottime(const struct timespec *time) {
    CHECK(clock_nanosleep(CLOCK_BOOTTIME, 0, time, NULL) == 0);
}
static void sleep_for_realtime(const struct timespec *time) {
    CHECK(clock_nanosleep(CLOCK_REALTIME, 0, time, NULL) == 0);
}
static void wait_for_signal(const struct timespec *time) {
    CHECK(sigtimedwait(&never_sent, NULL, time) == -1 && errno == EAGAIN);
}
static void poll_for(const struct timespec *time) {
    struct pollfd set = {silent[0], POLLIN, 0};
    CHECK(poll(&set, 1, (int)time->tv_sec * 1000) == 0 && set.revents == 0);
}
static void ppoll_for(const struct timespec *time) {
    const struct timespec copy = *time;
    struct pollfd set = {silent[0], POLLIN, 0};
    CHECK(ppoll(&set, 1, time, &never_sent) == 0);
    CHECK(time->tv_sec == copy.tv_sec && time->tv_nsec == copy.tv_nsec);
}
static void select_for(const struct timespec *time) {
    struct timeval left = {time->tv_sec, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(silent[0], &set);
    CHECK(select(silent[0] + 1, &set, NULL, NULL, &left) == 0 && !FD_ISSET(silent[0], &set));
    CHECK(left.tv_sec == 0 && left.tv_usec == 0);
}
static void pselect_for(const struct timespec *time) {
    CHECK(pselect(0, NULL, NULL, NULL, time, &never_sent) == 0);
}
static void epoll_for(const struct timespec *time) {
    struct epoll_event event = {.events = EPOLLIN};
    const int set = epoll_create1(0);
    CHECK(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, silent[0], &event) == 0);
    CHECK(epoll_wait(set, &event, 1, (int)time->tv_sec * 1000) == 0);
    CHECK(close(set) == 0);
}
static void epoll_masked_for(const struct timespec *time) {
    struct epoll_event event;
    const int set = epoll_create1(0);
    CHECK(set >= 0);
    CHECK(epoll_pwait(set, &event, 1, (int)time->tv_sec * 1000, &never_sent) == 0);
    CHECK(close(set) == 0);
}
static void futex_for(const struct timespec *time) {
    wait_on_word(FUTEX_WAIT_PRIVATE, time);
}
static void futex_shared_for(const struct timespec *time) {
    wait_on_word(FUTEX_WAIT, time);
}
static void descriptor_for(const struct timespec *time) {
    wait_for_descriptor(CLOCK_MONOTONIC, 0, time);
}

/* --- the waiters
 * ---------------------------------------------------------------------------------- */

enum how { ABSOLUTE, RELATIVE };

static struct waiter {
    const char *name;
    void (*wait)(const struct timespec *);
    enum how how;
    clockid_t clock;
    long call;
    pthread_t thread;
    pid_t tid;
    sem_t begins;
    int64_t due, ended;
} waiters[] = {
#define WAITER(function, ...)                                                                      \
    { .name = #function, .wait = function, __VA_ARGS__ }
    WAITER(sleep_until_monotonic, ABSOLUTE, CLOCK_MONOTONIC, SYS_clock_nanosleep),
    WAITER(sleep_until_realtime, ABSOLUTE, CLOCK_REALTIME, SYS_clock_nanosleep),
    WAITER(sleep_until_boottime, ABSOLUTE, CLOCK_BOOTTIME, SYS_clock_nanosleep),
    WAITER(condition_realtime, ABSOLUTE, CLOCK_REALTIME, SYS_futex),
    WAITER(condition_monotonic, ABSOLUTE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(condition_clockwait, ABSOLUTE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(semaphore_realtime, ABSOLUTE, CLOCK_REALTIME, SYS_futex),
    WAITER(semaphore_monotonic, ABSOLUTE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(mutex_realtime, ABSOLUTE, CLOCK_REALTIME, SYS_futex),
    WAITER(mutex_monotonic, ABSOLUTE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(mutex_inheriting, ABSOLUTE, CLOCK_REALTIME, SYS_futex),
    WAITER(read_lock, ABSOLUTE, CLOCK_REALTIME, SYS_futex),
    WAITER(write_lock, ABSOLUTE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(futex_monotonic, ABSOLUTE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(futex_realtime, ABSOLUTE, CLOCK_REALTIME, SYS_futex),
    WAITER(descriptor_realtime, ABSOLUTE, CLOCK_REALTIME, SYS_read),
    WAITER(descriptor_monotonic, ABSOLUTE, CLOCK_MONOTONIC, SYS_read),

    WAITER(sleep_for, RELATIVE, CLOCK_MONOTONIC, SYS_clock_nanosleep),
    WAITER(sleep_for_boottime, RELATIVE, CLOCK_BOOTTIME, SYS_clock_nanosleep),
    WAITER(sleep_for_realtime, RELATIVE, CLOCK_MONOTONIC, SYS_clock_nanosleep),
    WAITER(wait_for_signal, RELATIVE, CLOCK_MONOTONIC, SYS_rt_sigtimedwait),
    WAITER(poll_for, RELATIVE, CLOCK_MONOTONIC, SYS_poll),
    WAITER(ppoll_for, RELATIVE, CLOCK_MONOTONIC, SYS_ppoll),
    WAITER(select_for, RELATIVE, CLOCK_MONOTONIC, SYS_pselect6),
    WAITER(pselect_for, RELATIVE, CLOCK_MONOTONIC, SYS_pselect6),
    WAITER(epoll_for, RELATIVE, CLOCK_MONOTONIC, SYS_epoll_wait),
    WAITER(epoll_masked_for, RELATIVE, CLOCK_MONOTONIC, SYS_epoll_pwait),
    WAITER(futex_for, RELATIVE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(futex_shared_for, RELATIVE, CLOCK_MONOTONIC, SYS_futex),
    WAITER(descriptor_for, RELATIVE, CLOCK_MONOTONIC, SYS_read),
};
enum { WAITERS = sizeof waiters / sizeof waiters[0] };

static void *wait_once(void *argument) {
    struct waiter *w = argument;
    w->tid = own_tid();
    w->due = now(w->clock) + duration;
    const struct timespec time = timespec_of(w->how == RELATIVE ? duration : w->due);
    post(&w->begins);
    w->wait(&time);
    w->ended = now(w->clock);
    return w;
}

/* Not early, and not much later than it had to be, seen from when the freeze was over. */
static int in_time(const struct waiter *w, int64_t freeze_over) {
    const int64_t anew = freeze_over + (w->how == RELATIVE ? duration : 0);
    const int64_t latest = (w->due > anew ? w->due : anew) + PATIENCE * (int64_t)SECOND;
    if (w->ended < w->due)
        fprintf(stderr, "%s: %s ended %ld us early\n", frozen_role, w->name,
                (long)(w->due - w->ended) / 1000);
    if (w->ended > latest)
        fprintf(stderr, "%s: %s ended %ld s late\n", frozen_role, w->name,
                (long)((w->ended - w->due) / SECOND));
    return w->ended >= w->due && w->ended <= latest;
}

/* --- timers whose expiration is a new thread
 * ------------------------------------------------------ */

static sem_t once_expired, ticked;
static volatile int64_t expired;

static void expire(union sigval value) {
    CHECK(value.sival_int == 17);
    expired = now(CLOCK_MONOTONIC);
    post(&once_expired);
}
static void tick(union sigval value) {
    CHECK(value.sival_int == 18);
    post(&ticked);
}

static timer_t start_timer(void (*function)(union sigval), int value, int64_t first, int64_t next) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = function};
    event.sigev_value.sival_int = value;
    const struct itimerspec times = {timespec_of(next), timespec_of(first)};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &times, NULL) == 0);
    return timer;
}

int main(void) {
    CHECK(pipe(silent) == 0);
    sigemptyset(&never_sent);
    sigaddset(&never_sent, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &never_sent, NULL) == 0);
    make_mutex(&held_inheriting, KIND_INHERITING);
    CHECK(pthread_mutex_lock(&held) == 0 && pthread_mutex_lock(&held_inheriting) == 0);
    CHECK(pthread_rwlock_wrlock(&held_for_writing) == 0);

    const int64_t due = now(CLOCK_MONOTONIC) + duration;
    const timer_t once = start_timer(expire, 17, duration, 0);
    const timer_t again = start_timer(tick, 18, 50 * MILLISECOND, 50 * MILLISECOND);
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_create(&waiters[i].thread, NULL, wait_once, &waiters[i]) == 0);
    for (int i = 0; i < WAITERS; i++)
        await(&waiters[i].begins);
    for (int i = 0; i < WAITERS; i++) /* unless it has come to its end on a very slow machine */
        EVENTUALLY(waiters[i].ended || sleeps_in(waiters[i].tid, waiters[i].call));

    freeze();

    int64_t freeze_over[CLOCK_BOOTTIME + 1];
    for (clockid_t clock = 0; clock <= CLOCK_BOOTTIME; clock++)
        freeze_over[clock] = now(clock);
    int unharmed = 1;
    for (int i = 0; i < WAITERS; i++) {
        void *result = NULL;
        CHECK(pthread_join(waiters[i].thread, &result) == 0 && result == &waiters[i]);
        unharmed &= in_time(&waiters[i], freeze_over[waiters[i].clock]);
    }
    CHECK(unharmed);

    await(&once_expired);
    CHECK(expired >= due && timer_delete(once) == 0);
    while (sem_trywait(&ticked) == 0) {
    }
    for (int i = 0; i < 5; i++)
        await(&ticked);
    CHECK(timer_delete(again) == 0);
    CHECK(pthread_mutex_unlock(&held) == 0 && pthread_mutex_unlock(&held_inheriting) == 0);
    CHECK(pthread_rwlock_unlock(&held_for_writing) == 0);
    return success();
}
