/*
 * Mapped files: shared ones are the file again, under its name; private ones keep the pages that
 * the program changed, and the rest; and what lies behind the end of the file.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 4096, PAGES = 200 };

static unsigned char *map(const char *path, int access, int prot, int flags, size_t size,
                          off_t offset) {
    const int fd = open(path, access);
    CHECK(fd >= 0);
    unsigned char *at = mmap(NULL, size, prot, flags, fd, offset);
    CHECK(at != MAP_FAILED);
    close(fd);
    return at;
}

static void make(const char *path, size_t size, uint64_t seed) {
    static unsigned char bytes[PAGES * PAGE];
    fill(bytes, size, seed);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0);
}

int main(void) {
    const size_t size = PAGES * PAGE;
    char shared_path[PATH_MAX], private_path[PATH_MAX];
    snprintf(shared_path, sizeof shared_path, "%s", beside("shared file"));
    snprintf(private_path, sizeof private_path, "%s", beside("private\nfile"));
    make(shared_path, size, 1);
    make(private_path, size, 2);

    unsigned char *shared = map(shared_path, O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, size, 0);
    unsigned char *second = map(shared_path, O_RDWR, PROT_READ, MAP_SHARED, 10 * PAGE, 50 * PAGE);
    unsigned char *only_read = map(shared_path, O_RDONLY, PROT_READ, MAP_SHARED, size, 0);
    unsigned char *own = map(private_path, O_RDONLY, PROT_READ | PROT_WRITE, MAP_PRIVATE, size, 0);
    unsigned char *untouched =
        map(private_path, O_RDONLY, PROT_READ, MAP_PRIVATE, 5 * PAGE, 3 * PAGE);
    unsigned char *closed = map(private_path, O_RDONLY, PROT_NONE, MAP_PRIVATE, 5 * PAGE, 7 * PAGE);
    fill(shared + 20 * PAGE, PAGE, 20);
    fill(own + 11 * PAGE, 3 * PAGE, 11);

    /* A mapping of 20 pages of a file of two and a half. */
    make(beside("short file"), 2 * PAGE + PAGE / 2, 3);
    unsigned char *longer =
        map(beside("short file"), O_RDONLY, PROT_READ, MAP_PRIVATE, 20 * PAGE, 0);
    unsigned char *behind =
        map(beside("short file"), O_RDWR, PROT_READ | PROT_WRITE, MAP_SHARED, 20 * PAGE, 0);

    const int outcome = freeze();

    if (outcome == PARENT) { /* the copy has its own bytes of a private mapping */
        CHECK(unlink(private_path) == 0);
        make(private_path, 100, 99);
    }
    CHECK(intact(own, 11 * PAGE, 2));

    CHECK(intact(shared, 20 * PAGE, 1) && intact(shared + 20 * PAGE, PAGE, 20));
    for (size_t i = 0; i < 3 * PAGE; i += 8) /* the rest in pieces: fill() counts from the start */
        CHECK(!memcmp(second + i, shared + 50 * PAGE + i, 8));
    /* What can never be written through is carried as it was: it need not be on the other host. */
    CHECK(!memcmp(only_read, shared, 50 * PAGE));
    CHECK(intact(own + 11 * PAGE, 3 * PAGE, 11));
    static unsigned char bytes[PAGES * PAGE];
    fill(bytes, size, 2);
    CHECK(!memcmp(own + 14 * PAGE, bytes + 14 * PAGE, size - 14 * PAGE));
    CHECK(!memcmp(untouched, bytes + 3 * PAGE, 5 * PAGE));
    CHECK(mprotect(closed, 5 * PAGE, PROT_READ) == 0);
    CHECK(!memcmp(closed, bytes + 7 * PAGE, 5 * PAGE));
    CHECK(intact(longer, 2 * PAGE + PAGE / 2, 3) &&
          is_zero(longer + 2 * PAGE + PAGE / 2, PAGE / 2));
    CHECK(intact(behind, 2 * PAGE + PAGE / 2, 3));

    /* A write through the shared mapping lands in the file and in its other mapping. */
    const uint64_t mark = (uint64_t)getpid() << 32 | 0xabcdef;
    const size_t place = 55 * PAGE + (size_t)getpid() % 512 * 8;
    memcpy(shared + place, &mark, sizeof mark);
    uint64_t found = 0;
    const int fd = open(shared_path, O_RDONLY);
    CHECK(fd >= 0 && pread(fd, &found, sizeof found, (off_t)place) == 8 && found == mark);
    CHECK(!memcmp(second + place - 50 * PAGE, &mark, 8));
    return success();
}
