/*
 * Pipes that no process outside has an end of: the bytes in them, which stay for the caller as well;
 * full ones stay full, however their bytes are spread over the buffers; packets stay packets; ends
 * shared by dup(2), and ends opened again through /proc; sizes, flags, numbers; end of file. Ends whose
 * other one nobody has: what is left to read, and nobody to read it.
 */
#include "frozen.h"

#include <poll.h>
#include <signal.h>

enum { PAGE = 4096, DEFAULT = 16 * PAGE, LARGE = 1 << 20 };

static unsigned char data[LARGE], found[LARGE + 1];

struct ends {
    int read, write;
};

static int move_to_number(int fd, int number) {
    if (fd != number) {
        CHECK(fcntl(number, F_GETFD) == -1 && dup2(fd, number) == number);
        close(fd);
    }
    return number;
}

/* A pipe at numbers of one's choice. */
static struct ends make(int read_at, int write_at, int flags) {
    int ends[2];
    CHECK(pipe2(ends, flags) == 0);
    const int reader = fcntl(ends[0], F_DUPFD, 200), writer = fcntl(ends[1], F_DUPFD, 200);
    CHECK(reader >= 0 && writer >= 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
    const struct ends made = {move_to_number(reader, read_at), move_to_number(writer, write_at)};
    return made;
}

static int writable(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT);
}

static void set_nonblocking(int fd) {
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* What is in the pipe is the first `size` bytes of the data, and then nothing. */
static void holds(struct ends pipe, size_t size) {
    size_t done = 0;
    set_nonblocking(pipe.read);
    for (ssize_t got; (got = read(pipe.read, found + done, LARGE + 1 - done)) > 0;)
        done += (size_t)got;
    CHECK(errno == EAGAIN && done == size && !memcmp(found, data, size));
}

/* Writes portions until one more would block; returns the bytes. */
static size_t fill_pipe(struct ends pipe, size_t portion) {
    size_t done = 0;
    const int flags = fcntl(pipe.write, F_GETFL);
    set_nonblocking(pipe.write);
    for (ssize_t put; (put = write(pipe.write, data + done, portion)) > 0;)
        done += (size_t)put;
    CHECK(errno == EAGAIN && fcntl(pipe.write, F_SETFL, flags) == 0);
    return done;
}

static void packet_is(int fd, size_t room, const char *text) {
    char packet[PAGE + 1] = "";
    CHECK(read(fd, packet, room) == (ssize_t)strlen(text) && !strcmp(packet, text));
}

/* Without the flag of large files, which open(2) sets and pipe(2) does not. */
static int flags_of(int fd) {
    return fcntl(fd, F_GETFL) & ~0100000;
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 3; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

int main(void) {
    fill(data, LARGE, 1);

    const struct ends plain = make(20, 21, O_CLOEXEC), swapped = make(31, 30, 0);
    CHECK(write(plain.write, data, 5) == 5 && write(plain.write, data + 5, 7) == 7);

    /* Full: of pages, of portions that do not fill their page, and with a page half read. */
    const struct ends pages = make(32, 33, 0), portions = make(34, 35, 0), begun = make(36, 37, 0);
    CHECK(fill_pipe(pages, PAGE) == DEFAULT);
    CHECK(fill_pipe(portions, 3000) == 16 * 3000 && !writable(portions.write));
    CHECK(fill_pipe(begun, PAGE) == DEFAULT && read(begun.read, found, 1000) == 1000);
    CHECK(!writable(begun.write));

    const struct ends large = make(38, 39, 0), small = make(40, 41, 0);
    CHECK(fcntl(large.read, F_SETPIPE_SZ, LARGE) == LARGE && fill_pipe(large, LARGE) == LARGE);
    CHECK(fcntl(small.read, F_SETPIPE_SZ, PAGE) == PAGE && write(small.write, "x", 1) == 1);

    const struct ends packets = make(42, 43, O_DIRECT), mixed = make(44, 45, 0);
    CHECK(write(packets.write, "one", 3) == 3 && write(packets.write, "2", 1) == 1);
    CHECK(write(packets.write, "three", 5) == 5 && write(packets.write, data, PAGE) == PAGE);
    CHECK(write(mixed.write, "str", 3) == 3 && write(mixed.write, "eam", 3) == 3);
    CHECK(fcntl(mixed.write, F_SETFL, O_DIRECT) == 0);
    CHECK(write(mixed.write, data, PAGE) == PAGE && write(mixed.write, "last", 4) == 4);

    /* A duplicate shares its flags; an end opened again does not. */
    const struct ends shared = make(46, 47, O_NONBLOCK);
    CHECK(dup2(shared.read, 48) == 48 && dup3(shared.write, 49, O_CLOEXEC) == 49);
    move_to_number(open("/proc/self/fd/46", O_RDONLY), 50);
    move_to_number(open("/proc/self/fd/46", O_RDWR | O_NONBLOCK), 51);
    const struct ends only_both = make(52, 53, 0);
    move_to_number(open("/proc/self/fd/52", O_RDWR | O_NONBLOCK), 54);
    CHECK(close(only_both.read) == 0 && close(only_both.write) == 0);
    CHECK(write(54, data, 100) == 100);

    /* Nobody writes to these any more, and nobody reads. */
    const struct ends left = make(60, 61, 0), nothing_left = make(62, 63, 0);
    const struct ends left_full = make(64, 65, 0), unread = make(66, 67, 0);
    CHECK(write(left.write, data, 100) == 100 && read(left.read, found, 40) == 40);
    CHECK(fill_pipe(left_full, 3000) == 16 * 3000 && dup2(left_full.read, 68) == 68);
    CHECK(write(unread.write, data, 100) == 100);
    CHECK(close(left.write) == 0 && close(nothing_left.write) == 0);
    CHECK(close(left_full.write) == 0 && close(unread.read) == 0);
    move_to_number(open("/proc/self/fd/60", O_RDONLY | O_NONBLOCK), 69);

    /* Standard input may be the end of such a pipe, too. */
    CHECK(close(0) == 0);
    const struct ends input = make(0, 56, 0);
    CHECK(write(input.write, data, 200) == 200);
    const int count = open_descriptors();

    freeze();

    CHECK(open_descriptors() == count);
    CHECK(fcntl(plain.read, F_GETFD) == 0); /* dup2(2) took away the flag */
    CHECK(fcntl(plain.read, F_GETFL) == O_RDONLY && fcntl(plain.write, F_GETFL) == O_WRONLY);
    CHECK(fcntl(plain.read, F_GETPIPE_SZ) == DEFAULT);
    holds(plain, 12);
    holds(swapped, 0);
    CHECK(write(swapped.write, data, 9) == 9);
    holds(swapped, 9);

    CHECK(!writable(pages.write) && !writable(portions.write) && !writable(begun.write));
    CHECK(fcntl(pages.write, F_GETFL) == O_WRONLY);
    set_nonblocking(portions.write);
    CHECK(write(portions.write, data, 3000) == -1 && errno == EAGAIN);
    CHECK(read(portions.read, found, 3000) == 3000 && !memcmp(found, data, 3000));
    CHECK(writable(portions.write) && write(portions.write, data, 3000) == 3000);
    CHECK(!writable(portions.write));
    CHECK(read(portions.read, found, 15 * 3000) == 15 * 3000);
    CHECK(!memcmp(found, data + 3000, 15 * 3000));
    holds(portions, 3000);
    holds(pages, DEFAULT);
    CHECK(read(begun.read, found, DEFAULT) == DEFAULT - 1000);
    CHECK(!memcmp(found, data + 1000, DEFAULT - 1000));
    CHECK(fcntl(large.read, F_GETPIPE_SZ) == LARGE && !writable(large.write));
    holds(large, LARGE);
    CHECK(fcntl(small.read, F_GETPIPE_SZ) == PAGE && read(small.read, found, 2) == 1);

    CHECK(fcntl(packets.write, F_GETFL) == (O_WRONLY | O_DIRECT));
    packet_is(packets.read, PAGE, "one");
    packet_is(packets.read, PAGE, "2");
    packet_is(packets.read, 2, "th"); /* the rest of the packet is gone */
    CHECK(read(packets.read, found, LARGE) == PAGE && !memcmp(found, data, PAGE));
    CHECK(write(packets.write, "a", 1) == 1 && write(packets.write, "b", 1) == 1);
    packet_is(packets.read, PAGE, "a");
    packet_is(packets.read, PAGE, "b");
    packet_is(mixed.read, 6, "stream");
    CHECK(read(mixed.read, found, 10) == 10 && !memcmp(found, data, 10));
    packet_is(mixed.read, 3, "las");
    set_nonblocking(mixed.read);
    CHECK(read(mixed.read, found, 1) == -1 && errno == EAGAIN);

    CHECK(fcntl(48, F_GETFL) == O_NONBLOCK && fcntl(49, F_GETFL) == (O_WRONLY | O_NONBLOCK));
    CHECK(flags_of(50) == O_RDONLY && flags_of(51) == (O_RDWR | O_NONBLOCK));
    CHECK(fcntl(46, F_SETFL, 0) == 0 && fcntl(48, F_GETFL) == 0);
    CHECK(flags_of(51) == (O_RDWR | O_NONBLOCK));
    CHECK(fcntl(49, F_GETFD) == FD_CLOEXEC && fcntl(47, F_GETFD) == 0);
    CHECK(write(49, "from 49", 7) == 7);
    packet_is(50, 4, "from");
    packet_is(51, 9, " 49");
    CHECK(read(54, found, 200) == 100 && !memcmp(found, data, 100));
    CHECK(write(54, "z", 1) == 1 && read(54, found, 2) == 1 && found[0] == 'z');
    CHECK(read(54, found, 1) == -1 && errno == EAGAIN);
    holds(input, 200);

    /* No end is open but those. */
    CHECK(fcntl(plain.read, F_SETFL, 0) == 0);
    CHECK(close(plain.write) == 0 && read(plain.read, found, 1) == 0);
    CHECK(fcntl(input.read, F_SETFL, 0) == 0);
    CHECK(close(input.write) == 0 && read(input.read, found, 1) == 0);
    CHECK(close(47) == 0 && close(49) == 0 && close(51) == 0 && read(46, found, 1) == 0);
    CHECK(read(left.read, found, 30) == 30 && !memcmp(found, data + 40, 30));
    CHECK(read(69, found, PAGE) == 30 && !memcmp(found, data + 70, 30));
    CHECK(read(left.read, found, 1) == 0 && read(nothing_left.read, found, 1) == 0);
    for (int i = 0; i < 16; i++)
        CHECK(read(i % 2 ? 68 : left_full.read, found, 3000) == 3000);
    CHECK(read(68, found, 1) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(write(unread.write, "x", 1) == -1 && errno == EPIPE);
    return success();
}
