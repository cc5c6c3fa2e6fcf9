/*
 * What a program can say about its own freezing: handlers around the call, code that must not be
 * frozen, and memory that need not be.
 */
#include "frozen.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

/* --- rfork_atfork --- */

static char order[64];

static void note(char what) {
    const size_t used = strlen(order);
    CHECK(used + 1 < sizeof order);
    order[used] = what;
}
static void prepare_1(void) {
    note('a');
    errno = ERANGE;
}
static void prepare_2(void) {
    free(malloc(100)); /* ordinary code, on an ordinary stack */
    note('b');
}
static void parent_1(void) {
    note('p');
    errno = ERANGE;
}
static void parent_2(void) {
    note('q');
}
static void child_1(void) {
    note('c');
    errno = ERANGE;
}
static void child_2(void) {
    note('d');
}

static void handlers(void) {
    CHECK(rfork_atfork(prepare_1, parent_1, child_1) == 0);
    CHECK(rfork_atfork(NULL, NULL, NULL) == 0);
    CHECK(rfork_atfork(prepare_2, parent_2, child_2) == 0);

    CHECK(rfork_checkpoint("/nowhere/at/all") == -1);
    CHECK(errno == ENOENT);
    CHECK(strcmp(order, "bapq") == 0);
    errno = EDOM;
    memset(order, 0, sizeof order);
    const int outcome = freeze();
    CHECK(errno == EDOM);
    CHECK(strcmp(order, outcome == PARENT ? "bapq" : "bacd") == 0);
}

/* --- rfork_block --- */

static int in_section, leaving, stop;
static unsigned long half_done, undone;

static void *work_in_sections(void *nothing) {
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        rfork_block();
        rfork_block();
        half_done++;
        for (volatile int i = 0; i < 1000; i++)
            ;
        rfork_unblock();
        undone++;
        __atomic_store_n(&in_section, 1, __ATOMIC_RELEASE);
        rfork_unblock();
        sched_yield();
    }
    return nothing;
}

/* Keeps the others waiting for longer than they have. */
static void *stay_in_section(void *nothing) {
    rfork_block();
    __atomic_store_n(&in_section, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        sched_yield();
    rfork_unblock();
    return nothing;
}

/* Leaves while somebody waits for it. */
static void *leave_section(void *nothing) {
    rfork_block();
    __atomic_store_n(&in_section, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 10000; i++)
        sched_yield();
    __atomic_store_n(&leaving, 1, __ATOMIC_RELEASE);
    rfork_unblock();
    return nothing;
}

static pthread_t start(void *(*function)(void *)) {
    const time_t deadline = time(NULL) + 30;
    pthread_t thread;
    __atomic_store_n(&stop, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&in_section, 0, __ATOMIC_RELEASE);
    CHECK(pthread_create(&thread, NULL, function, NULL) == 0);
    while (!__atomic_load_n(&in_section, __ATOMIC_ACQUIRE)) {
        CHECK(time(NULL) < deadline);
        sched_yield();
    }
    return thread;
}

static void end(pthread_t thread) {
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void sections(void) {
    rfork_unblock(); /* without effect */
    rfork_block();
    CHECK(rfork_checkpoint(getenv("IMAGE")) == -1 && errno == EDEADLK);
    rfork_unblock();

    pthread_t thread = start(stay_in_section);
    CHECK(setenv("RFORK_TIMEOUT_MS", "20", 1) == 0);
    CHECK(rfork_checkpoint(getenv("IMAGE")) == -1 && errno == ETIMEDOUT);
    CHECK(strstr(rfork_strerror_last(), "rfork_unblock"));
    CHECK(unsetenv("RFORK_TIMEOUT_MS") == 0);
    end(thread);

    int outcome = PARENT;
    for (int i = 0; i < 5 && outcome == PARENT; i++) {
        leaving = 0;
        thread = start(leave_section);
        outcome = freeze();
        CHECK(__atomic_load_n(&leaving, __ATOMIC_ACQUIRE));
        end(thread);
    }
    thread = start(work_in_sections);
    for (int i = 0; i < 20 && outcome == PARENT; i++)
        outcome = freeze();
    end(thread);
    CHECK(half_done == undone && half_done > 0);
}

/* --- rfork_exclude, rfork_readonly --- */

enum { SIZE = 40 * 4096, OFFSET = 1000, LENGTH = 25 * 4096 };

static unsigned char of_the_program[3 * 4096] = {1};

/* Whether the bytes at [OFFSET, OFFSET + LENGTH) are zero, and those around them as they were. */
static int has_hole(const unsigned char *memory, const unsigned char *whole) {
    return !memcmp(memory, whole, OFFSET) && is_zero(memory + OFFSET, LENGTH) &&
           !memcmp(memory + OFFSET + LENGTH, whole + OFFSET + LENGTH, SIZE - OFFSET - LENGTH);
}

static unsigned char *map(int flags, uint64_t seed) {
    unsigned char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    fill(memory, SIZE, seed);
    return memory;
}

static void marks(void) {
    unsigned char *const private = map(MAP_PRIVATE, 1), *const shared = map(MAP_SHARED, 2),
                         *const back = map(MAP_PRIVATE, 3), *const steady = map(MAP_SHARED, 4),
                         *const closed = map(MAP_PRIVATE, 1);
    static unsigned char whole[SIZE], whole_shared[SIZE];
    fill(whole, SIZE, 1);
    fill(whole_shared, SIZE, 2);
    CHECK(rfork_exclude(private + OFFSET, LENGTH / 2) == 0);
    CHECK(rfork_exclude(private + OFFSET + LENGTH / 2 - 5, LENGTH - LENGTH / 2 + 5) == 0);
    CHECK(rfork_exclude(shared + OFFSET, LENGTH) == 0);
    CHECK(rfork_exclude(back, SIZE) == 0);
    CHECK(rfork_include(back + 100, SIZE - 200) == 0);
    CHECK(rfork_exclude(closed + OFFSET, LENGTH) == 0);
    CHECK(mprotect(closed, SIZE, PROT_READ) == 0);
    CHECK(rfork_readonly(steady + 100, SIZE - 5000) == 0);
    unsigned char *const both = map(MAP_SHARED, 2);
    CHECK(rfork_readonly(both, SIZE) == 0);
    CHECK(rfork_exclude(both + OFFSET, LENGTH) == 0);
    CHECK(rfork_exclude(of_the_program + 10, 4096) == 0);
    CHECK(rfork_exclude(NULL, 1) == -1 && errno == EINVAL && *rfork_strerror_last());
    CHECK(rfork_exclude(private, SIZE_MAX) == -1 && errno == EINVAL);
    CHECK(rfork_exclude(private, 0) == 0);
    fill(of_the_program, sizeof of_the_program, 5);

    const int copy = freeze() == CHILD;
    CHECK(copy ? has_hole(private, whole) : intact(private, SIZE, 1));
    CHECK(copy ? has_hole(shared, whole_shared) : intact(shared, SIZE, 2));
    CHECK(copy ? has_hole(closed, whole) : intact(closed, SIZE, 1));
    CHECK(copy ? has_hole(both, whole_shared) : intact(both, SIZE, 2));
    CHECK(intact(steady, SIZE, 4));
    static unsigned char whole_back[SIZE], whole_program[sizeof of_the_program];
    fill(whole_back, SIZE, 3);
    fill(whole_program, sizeof whole_program, 5);
    if (copy) {
        memset(whole_back, 0, 100);
        memset(whole_back + SIZE - 100, 0, 100);
        memset(whole_program + 10, 0, 4096);
    }
    CHECK(!memcmp(back, whole_back, SIZE));
    CHECK(!memcmp(of_the_program, whole_program, sizeof whole_program));
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    if (!strcmp(argv[1], "handlers"))
        handlers();
    else if (!strcmp(argv[1], "sections"))
        sections();
    else if (!strcmp(argv[1], "marks"))
        marks();
    else
        return 2;
    return success();
}
