/*
 * dontfork [THREADS [end]] - memory that the program keeps from its forks (MADV_DONTFORK) is its
 * memory all the same: in caller and copy it is what it was, code in it runs, and children still do
 * not get it. Alone and, with THREADS, while these write into it; with `end`, a child of the
 * program ends as its checkpoint is complete, having stood still twice.
 */
#include "frozen_threads.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, RANGES = 60, RANGE = 16 * PAGE, MOST_THREADS = 8 };

static unsigned char *ranges; /* every other one is kept from forks */
static uint64_t *counters;    /* in memory that is */
static volatile int stopping;

static unsigned char *range(int number) {
    return ranges + number * RANGE;
}

static void *anonymous(size_t size, int flags) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static void keep_from_forks(void *at, size_t size) {
    CHECK(madvise(at, size, MADV_DONTFORK) == 0);
}

static int is_kept(void *at) {
    return strstr(smaps_field(at, "VmFlags:"), " dc ") != NULL;
}

static int is_mapped(void *at) {
    unsigned char in_core;
    return mincore(at, PAGE, &in_core) == 0;
}

/* mov $42, %eax; ret */
static int (*compile(void))(void) {
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    void *at = anonymous(PAGE, MAP_PRIVATE);
    memcpy(at, code, sizeof code);
    CHECK(mprotect(at, PAGE, PROT_READ | PROT_EXEC) == 0);
    keep_from_forks(at, PAGE);
    int (*function)(void);
    memcpy(&function, &at, sizeof at);
    return function;
}

static void *map_file(void) {
    unsigned char bytes[RANGE];
    fill(bytes, sizeof bytes, 200);
    const int fd = open(beside("file"), O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    void *at = mmap(NULL, sizeof bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(at != MAP_FAILED && close(fd) == 0);
    keep_from_forks(at, sizeof bytes);
    return at;
}

static void *count(void *argument) {
    uint64_t *counter = argument;
    while (!stopping)
        __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Freezes a child, which ends; then its image goes on. Returns in that. */
static void freeze_and_end(const char *image) {
    const struct rfork_options options = {.size = sizeof options, .flags = RFORK_END};
    rfork_checkpoint_with(image, &options);
    frozen_role = "in the copy";
}

static int run_ended(const char *program, const char *threads) {
    int status = -1;
    char *const arguments[] = {(char *)program, (char *)threads, (char *)"child", NULL};
    const pid_t child = fork();
    if (child == 0) {
        execv(program, arguments);
        _exit(99);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    run_image(beside("ended"));
    CHECK(unlink(beside("ended")) == 0);
    return success();
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[2], "end"))
        return run_ended(argv[0], argv[1]);
    const int threads = argc > 1 ? atoi(argv[1]) : 0;
    pthread_t handles[MOST_THREADS];
    CHECK(threads <= MOST_THREADS);
    ranges = anonymous(RANGES * RANGE, MAP_PRIVATE);
    for (int i = 0; i < RANGES; i++) {
        fill(range(i), RANGE, (uint64_t)i);
        if (i % 2)
            keep_from_forks(range(i), RANGE);
    }
    int (*const compiled)(void) = compile();
    unsigned char *shared = anonymous(RANGE, MAP_SHARED);
    fill(shared, RANGE, 100);
    keep_from_forks(shared, RANGE);
    unsigned char *file = map_file();
    fill(file, PAGE, 201);
    counters = anonymous(PAGE, MAP_PRIVATE);
    keep_from_forks(counters, PAGE);
    for (int i = 0; i < threads; i++) {
        CHECK(pthread_create(&handles[i], NULL, count, &counters[i]) == 0);
        EVENTUALLY(__atomic_load_n(&counters[i], __ATOMIC_RELAXED) > 0);
    }

    if (argc > 2)
        freeze_and_end(beside("ended"));
    else
        freeze();

    for (int i = 0; i < threads; i++) {
        const uint64_t so_far = __atomic_load_n(&counters[i], __ATOMIC_RELAXED);
        EVENTUALLY(__atomic_load_n(&counters[i], __ATOMIC_RELAXED) > so_far);
    }
    stopping = 1;
    for (int i = 0; i < threads; i++)
        CHECK(pthread_join(handles[i], NULL) == 0);

    CHECK(compiled() == 42);
    CHECK(intact(shared, RANGE, 100) && is_kept(shared));
    CHECK(intact(file, PAGE, 201) && is_kept(file) && is_kept(counters));
    for (int i = 0; i < RANGES; i++)
        CHECK(intact(range(i), RANGE, (uint64_t)i) && is_kept(range(i)) == i % 2);
    const pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < RANGES; i++)
            if (is_mapped(range(i)) != !(i % 2))
                _exit(1);
        _exit(is_mapped(shared) || is_mapped(file));
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    return success();
}
