/*
 * What madvise(2) does after the resume, and what it did before: anonymous memory gives zeroes
 * after MADV_DONTNEED, a private file mapping the file's bytes; memory wiped on fork is wiped in
 * the copy, as in a child of fork(2), and again in its children; memory kept from forks is not in
 * the copy.
 */
#include "frozen.h"

#include <sys/mman.h>
#include <sys/wait.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { PAGE = 4096 };

static unsigned char *anonymous(size_t pages) {
    unsigned char *at =
        mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

int main(void) {
    unsigned char bytes[8 * PAGE];
    unsigned char *plain = anonymous(64), *wiped = anonymous(8), *kept = anonymous(8);
    unsigned char *huge = anonymous(2048), *no_dump = anonymous(8);
    fill(plain, 64 * PAGE, 1);
    fill(wiped, 8 * PAGE, 2);
    fill(kept, 8 * PAGE, 3);
    fill(huge, 2048 * PAGE, 4);
    fill(no_dump, 8 * PAGE, 5);
    CHECK(madvise(wiped, 8 * PAGE, MADV_WIPEONFORK) == 0);
    CHECK(madvise(kept, 8 * PAGE, MADV_DONTFORK) == 0);
    CHECK(madvise(huge, 2048 * PAGE, MADV_HUGEPAGE) == 0);
    CHECK(madvise(no_dump, 8 * PAGE, MADV_DONTDUMP) == 0);
    CHECK(madvise(plain + 32 * PAGE, 8 * PAGE, MADV_DONTNEED) == 0);

    fill(bytes, sizeof bytes, 6);
    const int fd = open(beside("file"), O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    unsigned char *file = mmap(NULL, sizeof bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(file != MAP_FAILED && close(fd) == 0);

    const int outcome = freeze();

    CHECK(intact(plain, 32 * PAGE, 1) && is_zero(plain + 32 * PAGE, 8 * PAGE));
    CHECK(madvise(plain, 16 * PAGE, MADV_DONTNEED) == 0 && is_zero(plain, 16 * PAGE));
    fill(plain, 4 * PAGE, 8);
    CHECK(intact(plain, 4 * PAGE, 8));

    CHECK(intact(file, sizeof bytes, 6));
    memset(file, 1, 2 * PAGE);
    CHECK(madvise(file, sizeof bytes, MADV_DONTNEED) == 0 && intact(file, sizeof bytes, 6));

    CHECK(outcome == PARENT ? intact(wiped, 8 * PAGE, 2) : is_zero(wiped, 8 * PAGE));
    fill(wiped, 8 * PAGE, 9);
    const pid_t child = fork();
    if (child == 0)
        _exit(is_zero(wiped, 8 * PAGE) && intact(huge, 2048 * PAGE, 4) ? 0 : 1);
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    CHECK(intact(wiped, 8 * PAGE, 9));

    unsigned char in_core;
    if (outcome == PARENT)
        CHECK(intact(kept, 8 * PAGE, 3));
    else
        CHECK(mincore(kept, PAGE, &in_core) == -1 && errno == ENOMEM);

    CHECK(intact(huge, 2048 * PAGE, 4) && strstr(smaps_field(huge, "VmFlags:"), " hg "));
    CHECK(intact(no_dump, 8 * PAGE, 5) && strstr(smaps_field(no_dump, "VmFlags:"), " dd "));
    return success();
}
