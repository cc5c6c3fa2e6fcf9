/*
 * The program that rfork-bench sends to and fro: an ordinary dynamic C program with a heap of a
 * given size, every page of it in use.
 *
 *     traveller HEAP-BYTES ORDERS REPORTS HOST HOST
 *
 * ORDERS and REPORTS are fifos, opened by path when they are needed and closed before each hop: the
 * bench gives one order at a time, so that hops never overlap with anything else it measures.
 *
 *     h       hop to the other host
 *     fPATH\n freeze into PATH
 *     q       end
 *
 * Reports are single lines:
 *
 *     ready                            the heap is filled
 *     arrived PID BEFORE AFTER         the copy, with the two times it carries in its memory
 *     left FORK WRITE                  the caller it left behind, with its phases
 *     frozen                           PATH is complete
 *     resumed TIME                     a process started from PATH
 *     failed SENTENCE
 *
 * All times are nanoseconds. When the bench goes away, reading an order yields end of file, and the
 * traveller ends, wherever it is.
 */
#define _GNU_SOURCE
#include "api/timing.h"

#include <rfork/rfork.h>

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *orders, *reports;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* One write, shorter than PIPE_BUF: lines of caller and copy never mix. */
static void say(const char* format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    strcat(line, "\n");

    int fd = open(reports, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        _exit(1); /* the bench has gone */
    close(fd);
}

static void fail(const char* sentence) {
    say("failed %s", sentence);
    _exit(1);
}

/* Opened without waiting for a writer and read with waiting: a bench that has gone is an end. */
static void read_order(char* order, size_t size) {
    int fd = open(orders, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        _exit(1);
    fcntl(fd, F_SETFL, 0);
    ssize_t n = read(fd, order, size - 1);
    if (n <= 0)
        _exit(1);
    order[n] = '\0';
    order[strcspn(order, "\n")] = '\0';
    close(fd);
}

static uint64_t word(size_t i) {
    return (i + 1) * 0x9e3779b97f4a7c15u;
}

static uint64_t* make_heap(size_t words) {
    uint64_t* heap = malloc(words * sizeof *heap);
    if (!heap)
        fail("the traveller has not enough memory");
    for (size_t i = 0; i < words; ++i)
        heap[i] = word(i);
    return heap;
}

static void check_heap(const uint64_t* heap, size_t words) {
    for (size_t i = 0; i < words; ++i)
        if (heap[i] != word(i))
            fail("the traveller's heap has changed on the way");
}

static void hop(const char* host) {
    int64_t before = now();
    int outcome = rfork(host);
    int64_t after = now();
    if (outcome < 0)
        fail(rfork_strerror_last());
    if (outcome == RFORK_PARENT) {
        const struct rfork_phase_times* times = rfork_phase_times_last();
        say("left %llu %llu", (unsigned long long)times->fork_ns,
            (unsigned long long)times->write_ns);
        _exit(0);
    }
    say("arrived %d %lld %lld", (int)getpid(), (long long)before, (long long)after);
}

static void freeze(const char* path) {
    int outcome = rfork_checkpoint(path);
    int64_t time = now();
    if (outcome < 0)
        fail(rfork_strerror_last());
    if (outcome == RFORK_CHILD) {
        say("resumed %lld", (long long)time);
        _exit(0);
    }
    say("frozen");
}

int main(int argc, char** argv) {
    if (argc != 6) {
        fprintf(stderr, "traveller: rfork-bench starts it\n");
        return 2;
    }
    const size_t words = strtoull(argv[1], NULL, 10) / sizeof(uint64_t);
    orders = argv[2];
    reports = argv[3];
    char** hosts = argv + 4;

    uint64_t* heap = make_heap(words);
    say("ready");
    for (unsigned stop = 0;; ++stop) {
        char order[512];
        read_order(order, sizeof order);
        if (order[0] == 'q')
            return 0;
        else if (order[0] == 'f')
            freeze(order + 1);
        else
            hop(hosts[stop % 2]);
        check_heap(heap, words);
    }
}
