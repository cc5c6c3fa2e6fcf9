/*
 * Threads as C11 has them: mutexes of its four kinds, conditions, thread-specific storage with
 * destructors, thread-local variables, call_once, joined, detached and sleeping threads.
 */
#include "frozen_threads.h"

#include <threads.h>

enum { THREADS = 8, ITEMS = 1000 };

static mtx_t plain, timed, recursive, timed_recursive;
static cnd_t changed;
static tss_t key;
static once_flag once = ONCE_FLAG_INIT;
static int onces, produced, consumed, sum, released, destroyed;
static sem_t ready, detached_ended;
static pid_t tids[THREADS];

static _Thread_local int own_number = -1;
static _Thread_local unsigned char own_bytes[400];

static void count_once(void) {
    onces++;
}

static void destroy(void *number) {
    CHECK(*(int *)number == own_number);
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
}

/* Consumes what main produces; blocked in the condition most of the time. */
static int consume(void *number) {
    own_number = *(int *)number;
    fill(own_bytes, sizeof own_bytes, (uint64_t)own_number);
    call_once(&once, count_once);
    CHECK(tss_set(key, number) == thrd_success);
    tids[own_number] = own_tid();
    post(&ready);
    for (;;) {
        CHECK(mtx_lock(&plain) == thrd_success);
        while (consumed == produced && produced < ITEMS)
            CHECK(cnd_wait(&changed, &plain) == thrd_success);
        const int item = consumed < produced ? ++consumed : 0;
        sum += item;
        CHECK(mtx_unlock(&plain) == thrd_success);
        CHECK(tids[own_number] == own_tid() && tss_get(key) == number);
        CHECK(intact(own_bytes, sizeof own_bytes, (uint64_t)own_number));
        if (!item)
            break;
    }
    call_once(&once, count_once);
    if (own_number % 2)
        thrd_exit(100 + own_number);
    return 100 + own_number;
}

static void produce_up_to(int count) {
    while (produced < count) {
        CHECK(mtx_lock(&plain) == thrd_success);
        produced++;
        CHECK((produced % 10 ? cnd_signal : cnd_broadcast)(&changed) == thrd_success);
        CHECK(mtx_unlock(&plain) == thrd_success);
    }
}

/* Each holds one lock, which is its own, until it is told to let go. */
static int hold(void *mutex) {
    CHECK(mtx_lock(mutex) == thrd_success);
    if (mutex == &recursive)
        CHECK(mtx_lock(mutex) == thrd_success);
    post(&ready);
    CHECK(mtx_lock(&plain) == thrd_success);
    while (!released)
        CHECK(cnd_wait(&changed, &plain) == thrd_success);
    CHECK(mtx_unlock(&plain) == thrd_success);
    if (mutex == &recursive)
        CHECK(mtx_unlock(mutex) == thrd_success);
    CHECK(mtx_unlock(mutex) == thrd_success);
    return 0;
}

static int run_detached(void *nothing) {
    CHECK(thrd_detach(thrd_current()) == thrd_success);
    CHECK(nothing == NULL);
    post(&ready);
    CHECK(mtx_lock(&plain) == thrd_success);
    while (!released)
        CHECK(cnd_wait(&changed, &plain) == thrd_success);
    CHECK(mtx_unlock(&plain) == thrd_success);
    post(&detached_ended);
    return 0;
}

static int sleep_shortly(void *begun) {
    const struct timespec second = {1, 0};
    *(int64_t *)begun = now(CLOCK_MONOTONIC);
    post(&ready);
    CHECK(thrd_sleep(&second, NULL) == 0);
    return now(CLOCK_MONOTONIC) >= *(int64_t *)begun + SECOND;
}

static int wait_in_vain(void *begun) {
    *(int64_t *)begun = now(CLOCK_REALTIME) + SECOND;
    const struct timespec due = timespec_of(*(int64_t *)begun);
    post(&ready);
    CHECK(mtx_timedlock(&timed_recursive, &due) == thrd_timedout);
    return now(CLOCK_REALTIME) >= *(int64_t *)begun;
}

static thrd_t start(thrd_start_t function, void *argument) {
    thrd_t thread;
    CHECK(thrd_create(&thread, function, argument) == thrd_success);
    return thread;
}

static int result_of(thrd_t thread) {
    int result = -1;
    CHECK(thrd_join(thread, &result) == thrd_success);
    return result;
}

int main(void) {
    int numbers[THREADS];
    int64_t sleep_begun, due;
    thrd_t consumers[THREADS];
    CHECK(mtx_init(&plain, mtx_plain) == thrd_success);
    CHECK(mtx_init(&timed, mtx_timed) == thrd_success);
    CHECK(mtx_init(&recursive, mtx_plain | mtx_recursive) == thrd_success);
    CHECK(mtx_init(&timed_recursive, mtx_timed | mtx_recursive) == thrd_success);
    CHECK(cnd_init(&changed) == thrd_success && tss_create(&key, destroy) == thrd_success);

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        consumers[i] = start(consume, &numbers[i]);
    }
    const thrd_t holds_timed = start(hold, &timed), holds_recursive = start(hold, &recursive);
    start(run_detached, NULL);
    CHECK(mtx_lock(&timed_recursive) == thrd_success);
    const thrd_t sleeper = start(sleep_shortly, &sleep_begun);
    const thrd_t in_vain = start(wait_in_vain, &due);
    for (int i = 0; i < THREADS + 5; i++)
        await(&ready);
    produce_up_to(ITEMS / 2);

    freeze();

    produce_up_to(ITEMS);
    for (int i = 0; i < THREADS; i++)
        CHECK(result_of(consumers[i]) == 100 + i);
    CHECK(consumed == ITEMS && sum == ITEMS * (ITEMS + 1) / 2);
    CHECK(onces == 1 && destroyed == THREADS);

    CHECK(result_of(sleeper) == 1 && result_of(in_vain) == 1);
    CHECK(mtx_unlock(&timed_recursive) == thrd_success);
    CHECK(mtx_trylock(&timed) == thrd_busy && mtx_trylock(&recursive) == thrd_busy);
    CHECK(mtx_lock(&plain) == thrd_success);
    released = 1;
    CHECK(cnd_broadcast(&changed) == thrd_success && mtx_unlock(&plain) == thrd_success);
    CHECK(mtx_lock(&timed) == thrd_success && mtx_lock(&recursive) == thrd_success);
    CHECK(result_of(holds_timed) == 0 && result_of(holds_recursive) == 0);
    await(&detached_ended);
    return success();
}
