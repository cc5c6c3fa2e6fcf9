/*
 * epoll(7): what an instance watches, with which data; level- and edge-triggered, one-shot entries
 * before and after they have fired, exclusive ones; instances that watch instances; files watched
 * under numbers that were closed since or are another file's now; duplicates.
 *
 * With the argument "signalfd", one of the files is a signalfd: nothing may be asked of that
 * instance on the way. With the argument "stream", it is standard input; see epoll_stream.test.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { EVENTS = 64 };

static struct epoll_event events[EVENTS];
static unsigned char page[65536];

static void watch(int epoll, int fd, uint32_t wanted, uint64_t data) {
    struct epoll_event event = {.events = wanted, .data.u64 = data};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void watch_again(int epoll, int fd, uint32_t wanted, uint64_t data) {
    struct epoll_event event = {.events = wanted, .data.u64 = data};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) == 0);
}

/* The only event is this one. */
static void one_event(int epoll, uint32_t expected, uint64_t data) {
    CHECK(epoll_wait(epoll, events, EVENTS, 10000) == 1);
    CHECK(events[0].events == expected && events[0].data.u64 == data);
}

static void no_event(int epoll) {
    CHECK(epoll_wait(epoll, events, EVENTS, 0) == 0);
}

static void make_pipe(int ends[2]) {
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
}

static void put(int fd, uint64_t value) {
    CHECK(write(fd, &value, sizeof value) == sizeof value);
}

static uint64_t take(int fd) {
    uint64_t value = 0;
    CHECK(read(fd, &value, sizeof value) == sizeof value);
    return value;
}

static int at_number(int fd, int number) {
    CHECK(fcntl(number, F_GETFD) == -1 && dup2(fd, number) == number && close(fd) == 0);
    return number;
}

/* What the kernel says an instance watches, without what is another kernel's business. */
static void list(int epoll, char *text, size_t size) {
    static char info[1 << 16];
    char path[64];
    size_t used = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
    slurp(path, info, sizeof info);
    for (char *line = strstr(info, "tfd:"); line; line = strstr(line + 1, "tfd:")) {
        int number;
        unsigned wanted;
        unsigned long long data;
        CHECK(sscanf(line, "tfd: %d events: %x data: %llx", &number, &wanted, &data) == 3);
        used += (size_t)snprintf(text + used, size - used, "%d:%x:%llx ", number, wanted, data);
        CHECK(used < size);
    }
}

static void with_signalfd(void) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    const int signals = signalfd(-1, &mask, SFD_NONBLOCK), epoll = epoll_create1(0);
    const int counter = eventfd(0, 0);
    watch(epoll, signals, EPOLLIN | EPOLLET, 1);
    watch(epoll, counter, EPOLLIN, 2);
    no_event(epoll);
    freeze();
    no_event(epoll);
    CHECK(raise(SIGUSR1) == 0);
    one_event(epoll, EPOLLIN, 1);
    struct signalfd_siginfo info;
    CHECK(read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
    no_event(epoll);
    put(counter, 1);
    one_event(epoll, EPOLLIN, 2);
}

/* What comes from there is news, also if it was there before the program. */
static void with_stream(void) {
    const int epoll = epoll_create1(0), again = epoll_create1(0);
    watch(epoll, 0, EPOLLIN | EPOLLET, 1);
    watch(again, 0, EPOLLIN, 2);
    CHECK(epoll_wait(epoll, events, EVENTS, 10000) == 1 && read(0, page, sizeof page) == 6);
    if (freeze() == PARENT)
        return;
    if (fcntl(0, F_GETFD) == -1) {
        no_event(epoll);
        no_event(again);
        return;
    }
    CHECK(epoll_wait(epoll, events, EVENTS, 10000) == 1 && events[0].data.u64 == 1);
    CHECK(epoll_wait(again, events, EVENTS, 10000) == 1 && events[0].data.u64 == 2);
    CHECK(read(0, page, sizeof page) == 7 && !memcmp(page, "second\n", 7));
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "stream")) {
        with_stream();
        return success();
    }
    if (argc > 1 && !strcmp(argv[1], "signalfd")) {
        with_signalfd();
        return success();
    }
    CHECK(argc == 1 && argv[0]);

    /* Level-triggered: one ready, one not. */
    const int level = epoll_create1(EPOLL_CLOEXEC), ready = eventfd(5, 0), empty = eventfd(0, 0);
    watch(level, ready, EPOLLIN, 0xfedcba9876543210u);
    watch(level, empty, EPOLLIN | EPOLLPRI, 2);

    /* Edge-triggered: the news that there are bytes has been heard, and they are still there. */
    int heard[2], unheard[2];
    make_pipe(heard);
    make_pipe(unheard);
    const int edges = epoll_create1(0), news = epoll_create1(0);
    watch(edges, heard[0], EPOLLIN | EPOLLET, 3);
    watch(edges, heard[1], EPOLLOUT | EPOLLET, 4);
    one_event(edges, EPOLLOUT, 4);
    CHECK(write(heard[1], "abc", 3) == 3);
    CHECK(epoll_wait(edges, events, EVENTS, 0) >= 1);
    no_event(edges);
    CHECK(write(unheard[1], "abc", 3) == 3);
    watch(news, unheard[0], EPOLLIN | EPOLLET, 5);

    /* One-shot: armed; fired, with bytes and without; fired for a pipe that is full now. */
    int armed[2], fired[2], drained[2], full[2];
    make_pipe(armed);
    make_pipe(fired);
    make_pipe(drained);
    make_pipe(full);
    const int once = epoll_create1(0);
    watch(once, fired[0], EPOLLIN | EPOLLONESHOT, 6);
    watch(once, drained[0], EPOLLIN | EPOLLONESHOT | EPOLLET, 7);
    watch(once, full[1], EPOLLOUT | EPOLLONESHOT, 8);
    CHECK(write(fired[1], "f", 1) == 1 && write(drained[1], "d", 1) == 1);
    CHECK(epoll_wait(once, events, EVENTS, 0) == 3);
    no_event(once);
    CHECK(read(drained[0], page, 1) == 1);
    CHECK(write(full[1], page, sizeof page) == sizeof page);
    watch(once, armed[0], EPOLLIN | EPOLLONESHOT, 9);
    no_event(once);

    /* Fired too, and watched under a number that is the pipe's other end now, the only one. */
    const int odd = epoll_create1(0);
    int swapped[2];
    make_pipe(swapped);
    CHECK(dup2(swapped[0], 402) == 402);
    watch(odd, 402, EPOLLIN | EPOLLONESHOT, 19);
    CHECK(write(swapped[1], "s", 1) == 1 && epoll_wait(odd, events, EVENTS, 0) == 1);
    CHECK(read(swapped[0], page, 1) == 1);
    CHECK(dup2(swapped[1], 402) == 402 && close(swapped[1]) == 0);

    /* An outer instance with a lower number than the inner one that it watches. */
    const int outer = epoll_create1(0), inner = at_number(epoll_create1(0), 300);
    const int deep = eventfd(0, EFD_NONBLOCK);
    watch(outer, inner, EPOLLIN, 10);
    watch(inner, deep, EPOLLIN | EPOLLEXCLUSIVE, 11);

    /* Watched under 400, which is closed; and under 401, where another file is now, as well. */
    const int names = epoll_create1(0), closed = eventfd(0, 0), before = eventfd(0, 0);
    CHECK(dup2(closed, 400) == 400 && dup2(before, 401) == 401);
    watch(names, 400, EPOLLIN, 12);
    watch(names, 401, EPOLLIN, 13);
    CHECK(close(400) == 0 && close(401) == 0);
    const int now = at_number(eventfd(0, 0), 401);
    CHECK(fcntl(now, F_SETFD, FD_CLOEXEC) == 0);
    watch(names, 401, EPOLLIN, 14);
    const int names_again = fcntl(names, F_DUPFD_CLOEXEC, 0);

    /* A timer that expires on the way, or later. */
    const int timer = timerfd_create(CLOCK_MONOTONIC, 0), clock = epoll_create1(0);
    const struct itimerspec soon = {.it_value = {.tv_nsec = 50000000}};
    CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
    watch(clock, timer, EPOLLIN | EPOLLET, 15);

    const int instances[] = {level, edges, news, once, outer, inner, names, clock};
    static char was[8][1024], is[1024];
    for (int i = 0; i < 8; i++)
        list(instances[i], was[i], sizeof was[i]);

    freeze();

    for (int i = 0; i < 8; i++) {
        list(instances[i], is, sizeof is);
        CHECK(strlen(is) == strlen(was[i]));
        for (char *entry = strtok(is, " "); entry; entry = strtok(NULL, " "))
            CHECK(strstr(was[i], entry));
    }

    CHECK(fcntl(level, F_GETFD) == FD_CLOEXEC && fcntl(edges, F_GETFD) == 0);
    one_event(level, EPOLLIN, 0xfedcba9876543210u);
    CHECK(take(ready) == 5);
    no_event(level);
    put(empty, 1);
    one_event(level, EPOLLIN, 2);

    no_event(edges);
    CHECK(write(heard[1], "d", 1) == 1);
    CHECK(epoll_wait(edges, events, EVENTS, 0) >= 1);
    no_event(edges);
    CHECK(read(heard[0], page, 10) == 4 && !memcmp(page, "abcd", 4));
    one_event(news, EPOLLIN, 5);
    no_event(news);

    no_event(once);
    CHECK(write(armed[1], "a", 1) == 1);
    one_event(once, EPOLLIN, 9);
    CHECK(read(armed[0], page, 10) == 1);
    CHECK(close(drained[1]) == 0); /* a hang-up does not fire it either */
    no_event(once);
    watch_again(once, drained[0], EPOLLIN | EPOLLONESHOT, 16);
    one_event(once, EPOLLHUP, 16);
    CHECK(read(full[0], page, sizeof page) == sizeof page);
    no_event(once);
    watch_again(once, full[1], EPOLLOUT | EPOLLONESHOT, 17);
    one_event(once, EPOLLOUT, 17);
    watch_again(once, fired[0], EPOLLIN | EPOLLONESHOT, 18);
    one_event(once, EPOLLIN, 18);
    CHECK(read(fired[0], page, 10) == 1 && page[0] == 'f');

    no_event(odd);
    CHECK(write(402, "t", 1) == 1);
    no_event(odd);
    CHECK(read(swapped[0], page, 10) == 1 && page[0] == 't');
    CHECK(close(402) == 0); /* a hang-up would fire what is watched for nothing */
    no_event(odd);

    no_event(outer);
    put(deep, 1);
    one_event(outer, EPOLLIN, 10);
    one_event(inner, EPOLLIN, 11);

    CHECK(fcntl(400, F_GETFD) == -1 && fcntl(401, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(names_again, F_GETFD) == FD_CLOEXEC);
    put(closed, 1);
    one_event(names_again, EPOLLIN, 12);
    CHECK(take(closed) == 1);
    put(before, 1);
    one_event(names, EPOLLIN, 13);
    CHECK(take(before) == 1);
    put(now, 1);
    one_event(names, EPOLLIN, 14);
    CHECK(take(now) == 1 && close(before) == 0);
    no_event(names);

    one_event(clock, EPOLLIN, 15);
    CHECK(take(timer) == 1);
    return success();
}
