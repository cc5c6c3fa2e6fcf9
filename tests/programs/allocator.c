/*
 * Memory management, clocks and processes go on working after the resume: malloc and its kin in all
 * sizes, brk, mmap, mprotect, mremap, clock_gettime, fork and wait.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { BLOCKS = 2000 };
static unsigned char *blocks[BLOCKS];
static size_t sizes[BLOCKS];

static size_t size_of(int i) {
    return i % 97 == 0 ? (size_t)200000 + (size_t)i * 10 : (size_t)(i * 37 % 5000) + 1;
}

static int64_t now(clockid_t clock) {
    struct timespec t;
    CHECK(clock_gettime(clock, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void use_memory(void) {
    for (int i = 0; i < BLOCKS; i++)
        CHECK(intact(blocks[i], sizes[i], (uint64_t)i));
    for (int i = 0; i < BLOCKS; i++) { /* larger, smaller, gone */
        if (i % 3 == 0) {
            blocks[i] = realloc(blocks[i], sizes[i] * 3);
            CHECK(blocks[i] && intact(blocks[i], sizes[i], (uint64_t)i));
            fill(blocks[i], sizes[i] * 3, (uint64_t)i);
            sizes[i] *= 3;
        } else if (i % 3 == 1) {
            free(blocks[i]);
            blocks[i] = calloc(1, sizes[i]);
            CHECK(blocks[i] && is_zero(blocks[i], sizes[i]));
            fill(blocks[i], sizes[i], (uint64_t)i);
        }
    }
    for (int i = 0; i < BLOCKS; i++)
        CHECK(intact(blocks[i], sizes[i], (uint64_t)i));

    void *aligned = NULL;
    CHECK(posix_memalign(&aligned, 1 << 16, 1 << 20) == 0 && (uintptr_t)aligned % (1 << 16) == 0);
    free(aligned);
}

int main(void) {
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = size_of(i);
        blocks[i] = malloc(sizes[i]);
        CHECK(blocks[i]);
        fill(blocks[i], sizes[i], (uint64_t)i);
    }
    char *const end = sbrk(0);
    unsigned char *const mapped =
        mmap(NULL, 64 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED);
    fill(mapped, 64 << 12, 99);
    CHECK(mprotect(mapped, 32 << 12, PROT_READ) == 0);
    const int64_t monotonic = now(CLOCK_MONOTONIC), real = now(CLOCK_REALTIME);
    const int64_t boot = now(CLOCK_BOOTTIME), coarse = now(CLOCK_MONOTONIC_COARSE);

    freeze();

    /* One machine, one boot: nothing runs backwards or jumps. */
    CHECK(now(CLOCK_MONOTONIC) >= monotonic && now(CLOCK_MONOTONIC) < monotonic + 3600000000000);
    CHECK(now(CLOCK_BOOTTIME) >= boot && now(CLOCK_MONOTONIC_COARSE) >= coarse);
    CHECK(now(CLOCK_REALTIME) >= real && now(CLOCK_REALTIME) < real + 3600000000000);
    CHECK(time(NULL) >= real / 1000000000);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) >= 0);
    const int64_t start = now(CLOCK_MONOTONIC);
    const struct timespec moment = {.tv_nsec = 3000000};
    CHECK(nanosleep(&moment, NULL) == 0 && now(CLOCK_MONOTONIC) - start >= 3000000);

    CHECK(sbrk(0) == end); /* and it can be moved, both ways */
    CHECK(sbrk(1 << 20) == end && sbrk(0) == end + (1 << 20));
    CHECK(is_zero(end, 1 << 20));
    fill(end, 1 << 20, 5);
    CHECK(intact(end, 1 << 20, 5) && sbrk(-(1 << 20)) != (void *)-1 && sbrk(0) == end);
    use_memory();

    CHECK(intact(mapped, 64 << 12, 99));
    CHECK(strstr(smaps_field(mapped, "VmFlags:"), " wr ") == NULL);
    CHECK(mprotect(mapped, 32 << 12, PROT_READ | PROT_WRITE) == 0);
    unsigned char *moved = mremap(mapped, 64 << 12, 128 << 12, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && intact(moved, 64 << 12, 99) &&
          is_zero(moved + (64 << 12), 64 << 12));
    CHECK(munmap(moved, 128 << 12) == 0);

    for (int i = 0; i < 3; i++) {
        const pid_t child = fork();
        if (child == 0) {
            use_memory();
            _exit(getppid() > 0 ? 10 + i : 1);
        }
        int status = 0;
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 10 + i);
    }
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
    CHECK(system("exit 7") == 7 << 8);
    return success();
}
