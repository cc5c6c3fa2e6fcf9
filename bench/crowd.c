/*
 * The program that rfork-bench makes stand still: a big heap in pages of 4 KiB, and many threads.
 *
 *     crowd HEAP-BYTES THREADS ROUNDS IMAGE
 *
 * Most threads are blocked, in a futex, in a sleep and in poll(2); some work a little now and then;
 * one does nothing but look at the clock, and knows for how long it could not. The main thread, one
 * more than THREADS, forks and freezes the process by turns, so that neither is measured at another
 * time than the other, and writes a line for each round:
 *
 *     round FORK STALL SEEN     nanoseconds: fork(2) until it returned here; the time that the
 *                               threads stood still, by librfork's account and by the clock
 *                               watcher's
 *     failed SENTENCE
 *
 * Every page is written to before each fork and each freeze, so that both find the same: memory
 * that the process has to itself. The heap is excluded from the image, since it is after the
 * threads have gone on that the copy looks at it.
 */
#define _GNU_SOURCE
#include "api/timing.h"

#include <rfork/rfork.h>

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { page = 4096, stack_size = 128 * 1024 };

static sem_t never;
static _Atomic int64_t longest_gap;
static _Atomic unsigned started;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void say(const char* format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    strcat(line, "\n");
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(1);
}

static void fail(const char* sentence) {
    say("failed %s", sentence);
    _exit(1);
}

static void* watch_clock(void* unused) {
    ++started;
    int64_t last = now();
    for (;;) {
        const int64_t time = now();
        if (time - last > longest_gap)
            longest_gap = time - last;
        last = time;
    }
    return unused;
}

static void* work_now_and_then(void* unused) {
    ++started;
    volatile unsigned sum = 0;
    for (;;) {
        for (unsigned i = 0; i < 20000; ++i)
            sum = sum + i;
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    return unused;
}

/* None of the three ever has a reason to come back. */
static void* wait_in_futex(void* unused) {
    ++started;
    sem_wait(&never);
    fail("a thread was woken out of a futex");
    return unused;
}

static void* sleep_long(void* unused) {
    ++started;
    nanosleep(&(struct timespec){1000000, 0}, NULL);
    fail("a thread was woken out of its sleep");
    return unused;
}

static void* wait_in_poll(void* unused) {
    ++started;
    poll(NULL, 0, -1);
    fail("a thread was woken out of poll");
    return unused;
}

static void start_threads(unsigned count) {
    void* (*const blocked[])(void*) = {wait_in_futex, sleep_long, wait_in_poll};
    enum { workers = 3 };
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, stack_size);
    sem_init(&never, 0, 0);
    for (unsigned i = 0; i < count; ++i) {
        pthread_t thread;
        void* (*const life)(void*) = i == 0         ? watch_clock
                                     : i <= workers ? work_now_and_then
                                                    : blocked[i % 3];
        if (pthread_create(&thread, &small, life, NULL) != 0)
            fail("cannot start so many threads");
    }
    while (started < count)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

/* In small pages, whatever the machine's setting: a heap in huge pages is copied in no time. */
static char* make_heap(size_t size) {
    char* heap = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (heap == MAP_FAILED)
        fail("not enough memory");
    madvise(heap, size, MADV_NOHUGEPAGE); /* fails where there are no huge pages */
    if (rfork_exclude(heap, size) != 0)
        fail(rfork_strerror_last());
    return heap;
}

static void use_heap(volatile char* heap, size_t size) {
    for (size_t at = 0; at < size; at += page)
        ++heap[at];
}

static int64_t fork_once(void) {
    const int64_t before = now();
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    const int64_t after = now();
    if (child < 0 || waitpid(child, NULL, 0) != child)
        fail("cannot fork");
    return after - before;
}

static void freeze_once(const char* image) {
    const int outcome = rfork_checkpoint(image);
    if (outcome == RFORK_CHILD)
        _exit(0);
    if (outcome != RFORK_PARENT)
        fail(rfork_strerror_last());
    unlink(image);
}

int main(int argc, char** argv) {
    if (argc != 5) {
        fprintf(stderr, "crowd: rfork-bench starts it\n");
        return 2;
    }
    const size_t size = strtoull(argv[1], NULL, 10);
    const unsigned threads = (unsigned)strtoul(argv[2], NULL, 10);
    const unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
    const char* image = argv[4];

    char* heap = make_heap(size);
    start_threads(threads);
    for (unsigned i = 0; i < rounds; ++i) {
        use_heap(heap, size);
        const int64_t forked = fork_once();
        use_heap(heap, size);
        longest_gap = 0;
        freeze_once(image);
        const int64_t seen = longest_gap;
        say("round %lld %llu %lld", (long long)forked,
            (unsigned long long)rfork_phase_times_last()->stall_ns, (long long)seen);
    }
    return 0;
}
