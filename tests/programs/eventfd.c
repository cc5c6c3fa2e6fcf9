/*
 * eventfd(2): counters, semaphores, flags, duplicates; for the caller as for the copy.
 */
#include "frozen.h"

#include <poll.h>
#include <sys/eventfd.h>

static uint64_t take(int fd) {
    uint64_t value = 0;
    CHECK(read(fd, &value, sizeof value) == sizeof value);
    return value;
}

static void put(int fd, uint64_t value) {
    CHECK(write(fd, &value, sizeof value) == sizeof value);
}

static short ready(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLOUT};
    return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents : 0;
}

int main(void) {
    const uint64_t most = UINT64_MAX - 1;
    uint64_t value;
    const int zero = eventfd(0, EFD_NONBLOCK), some = eventfd(7, EFD_CLOEXEC | EFD_NONBLOCK);
    const int semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK), full = eventfd(0, EFD_NONBLOCK);
    const int blocking = eventfd(1, 0), again = dup(some), large = eventfd(0, 0);
    CHECK(zero >= 0 && some >= 0 && semaphore >= 0 && full >= 0 && blocking >= 0 && again >= 0);
    put(full, most);
    put(large, (uint64_t)5 << 40);
    CHECK(close(0) == 0 && dup(zero) == 0);

    freeze();

    CHECK(read(zero, &value, sizeof value) == -1 && errno == EAGAIN);
    put(0, 11);
    CHECK(take(zero) == 11);
    CHECK(fcntl(some, F_GETFD) == FD_CLOEXEC && fcntl(again, F_GETFD) == 0);
    CHECK(take(again) == 7 && read(some, &value, sizeof value) == -1 && errno == EAGAIN);
    put(some, 2);
    CHECK(take(again) == 2);

    for (int i = 0; i < 3; i++)
        CHECK(take(semaphore) == 1);
    CHECK(read(semaphore, &value, sizeof value) == -1 && errno == EAGAIN);

    CHECK(ready(full) == POLLIN);
    value = 1;
    CHECK(write(full, &value, sizeof value) == -1 && errno == EAGAIN);
    CHECK(take(full) == most && ready(full) == POLLOUT);

    CHECK(fcntl(blocking, F_GETFL) == O_RDWR && take(blocking) == 1);
    CHECK(take(large) == (uint64_t)5 << 40);
    return success();
}
