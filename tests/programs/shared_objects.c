/*
 * Memory that is mapped more than once is one memory again: what is written by one mapping is read
 * by the others, whole or in part, by whatever offset. So is a memfd to which only mappings lead. A
 * mapping longer than its memfd still ends where that does.
 *
 * With "threads": another thread writes there all the time, and yet the copy's memory is that of
 * one moment, the same by all mappings. With "exclude": what one mapping names is zero by all.
 */
#include "frozen.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { PAGE = 4096, PAGES = 64 };

static unsigned char *map(size_t size, int flags, int fd, off_t offset) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, offset);
    CHECK(at != MAP_FAILED);
    return at;
}

static unsigned char *again(unsigned char *first, size_t size) {
    void *at = mremap(first, 0, size, MREMAP_MAYMOVE);
    CHECK(at != MAP_FAILED);
    return at;
}

static sigjmp_buf landing;

static void on_bus_error(int number) {
    siglongjmp(landing, number);
}

static int is_there(volatile unsigned char *at) {
    struct sigaction action = {.sa_handler = on_bus_error, .sa_flags = SA_NODEFER}, old;
    sigaction(SIGBUS, &action, &old);
    int there = 0;
    if (sigsetjmp(landing, 1) == 0) {
        (void)*at;
        there = 1;
    }
    sigaction(SIGBUS, &old, NULL);
    return there;
}

static int memfd(const char *name, off_t size) {
    const int fd = (int)syscall(SYS_memfd_create, name, 0u);
    CHECK(fd >= 0 && ftruncate(fd, size) == 0);
    return fd;
}

static atomic_int stop;
static _Atomic(uint64_t) *counter[2];

static void *count(void *unused) {
    while (!stop)
        atomic_fetch_add(counter[0], 1);
    return unused;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    unsigned char *whole = map(PAGES * PAGE, MAP_ANONYMOUS, -1, 0);
    unsigned char *same = again(whole, PAGES * PAGE);
    unsigned char *tail = again(whole + 20 * PAGE, 10 * PAGE);
    unsigned char *hidden = again(whole, PAGE);
    unsigned char *lone = again(map(4 * PAGE, MAP_ANONYMOUS, -1, 0), 4 * PAGE);
    fill(whole, 30 * PAGE, 1);
    fill(lone, PAGE, 2);
    CHECK(mprotect(same, PAGES * PAGE, PROT_READ) == 0);
    CHECK(mprotect(hidden, PAGE, PROT_NONE) == 0);

    const int fd = memfd("only mapped", 8 * PAGE), ends = memfd("ends early", 2 * PAGE);
    unsigned char *file = map(8 * PAGE, 0, fd, 0), *part = map(3 * PAGE, 0, fd, 5 * PAGE);
    unsigned char *longer = map(4 * PAGE, 0, ends, 0);
    fill(file + 2 * PAGE, 4 * PAGE, 3);
    fill(longer, 2 * PAGE, 4);
    unsigned char *unseen = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_SHARED, ends, 0);
    CHECK(unseen != MAP_FAILED); /* says nothing of where the memory ends */
    unsigned char *named = map(PAGE, MAP_ANONYMOUS, -1, 0); /* neither twice nor anything else */
    fill(named, PAGE, 5);
    CHECK(close(fd) == 0 && close(ends) == 0);

    pthread_t thread;
    counter[0] = (void *)(whole + 40 * PAGE);
    counter[1] = (void *)(same + 40 * PAGE);
    if (!strcmp(mode, "threads"))
        CHECK(pthread_create(&thread, NULL, count, NULL) == 0);
    if (!strcmp(mode, "exclude"))
        CHECK(rfork_exclude(tail + PAGE, 2 * PAGE) == 0 &&
              rfork_readonly(whole, PAGES * PAGE) == 0);

    freeze();

    if (!strcmp(mode, "threads")) {
        const uint64_t one = atomic_load(counter[1]), other = atomic_load(counter[0]);
        CHECK(one <= other && other - one < UINT64_MAX / 2);
        stop = 1;
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(atomic_load(counter[0]) == atomic_load(counter[1]));
    }
    const int excluded = !strcmp(mode, "exclude") && strcmp(frozen_role, "in the caller") != 0;
    if (excluded) {
        CHECK(is_zero(whole + 21 * PAGE, 2 * PAGE) && is_zero(tail + PAGE, 2 * PAGE));
        CHECK(is_zero(same + 21 * PAGE, 2 * PAGE));
        fill(whole, 30 * PAGE, 1);
    }
    CHECK(intact(whole, 30 * PAGE, 1) && intact(same, 30 * PAGE, 1));
    CHECK(memcmp(tail, whole + 20 * PAGE, 10 * PAGE) == 0);
    CHECK(!strstr(smaps_field(same, "VmFlags:"), " wr ") &&
          strstr(smaps_field(same, "VmFlags:"), " sh "));
    whole[21 * PAGE] ^= 0xff;
    CHECK(same[21 * PAGE] == whole[21 * PAGE] && tail[PAGE] == whole[21 * PAGE]);
    tail[9 * PAGE + 7] ^= 0xff;
    CHECK(whole[29 * PAGE + 7] == tail[9 * PAGE + 7]);
    CHECK(mprotect(hidden, PAGE, PROT_READ) == 0 && memcmp(hidden, whole, PAGE) == 0);
    CHECK(intact(lone, PAGE, 2) && is_zero(lone + PAGE, 3 * PAGE));
    CHECK(intact(named, PAGE, 5));

    CHECK(intact(file + 2 * PAGE, 4 * PAGE, 3) && is_zero(file, 2 * PAGE));
    CHECK(part[0] == file[5 * PAGE]);
    part[PAGE + 3] = 77;
    CHECK(file[6 * PAGE + 3] == 77);
    CHECK(intact(longer, 2 * PAGE, 4) && !is_there(longer + 2 * PAGE) && is_there(longer + PAGE));
    return success();
}
