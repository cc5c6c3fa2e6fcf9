/*
 * Threads that compute, sleep, poll and wait for a condition, frozen a hundred times in a row. Each
 * goes on, in the caller and in the copy, and none of them is ever told EINTR.
 */
#include "frozen.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { COMPUTES, SLEEPS, POLLS, WAITS, KINDS };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static unsigned long rounds[KINDS];
static int interruptions;
static int stop;

static int stopped(void) {
    return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static void another_round(long kind) {
    __atomic_add_fetch(&rounds[kind], 1, __ATOMIC_RELEASE);
}

static void interrupted(int result) {
    if (result < 0)
        __atomic_add_fetch(&interruptions, 1, __ATOMIC_RELEASE);
}

static void *run(void *kind_as_pointer) {
    const long kind = (long)kind_as_pointer;
    unsigned char local[512];
    double x = 1;
    fill(local, sizeof local, (uint64_t)kind);
    errno = (int)kind + 1000;
    if (kind == WAITS) {
        pthread_mutex_lock(&mutex);
        while (!stopped())
            pthread_cond_wait(&over, &mutex);
        pthread_mutex_unlock(&mutex);
    }
    while (!stopped()) {
        const struct timespec moment = {0, 3000000};
        if (kind == COMPUTES)
            x = x * 1.0000001 + 1e-9;
        else if (kind == SLEEPS)
            interrupted(nanosleep(&moment, NULL));
        else
            interrupted(poll(NULL, 0, 3));
        another_round(kind);
    }
    CHECK(errno == (int)kind + 1000);
    CHECK(x >= 1 && intact(local, sizeof local, (uint64_t)kind));
    return kind_as_pointer;
}

static void await_another_round(int kind) {
    const time_t deadline = time(NULL) + 30;
    const unsigned long before = __atomic_load_n(&rounds[kind], __ATOMIC_ACQUIRE);
    while (__atomic_load_n(&rounds[kind], __ATOMIC_ACQUIRE) == before) {
        CHECK(time(NULL) < deadline);
        sched_yield();
    }
}

int main(int argc, char **argv) {
    const int times = argc > 1 ? atoi(argv[1]) : 1;
    pthread_t threads[KINDS];
    int outcome = PARENT;
    for (long kind = 0; kind < KINDS; kind++)
        CHECK(pthread_create(&threads[kind], NULL, run, (void *)kind) == 0);
    for (int i = 0; i < times && outcome == PARENT; i++) {
        for (int kind = COMPUTES; kind <= POLLS; kind++)
            await_another_round(kind);
        outcome = freeze();
    }
    for (int kind = COMPUTES; kind <= POLLS; kind++)
        await_another_round(kind);

    pthread_mutex_lock(&mutex);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&over);
    pthread_mutex_unlock(&mutex);
    for (long kind = 0; kind < KINDS; kind++) {
        void *result;
        CHECK(pthread_join(threads[kind], &result) == 0);
        CHECK(result == (void *)kind);
    }
    CHECK(interruptions == 0);
    return success();
}
