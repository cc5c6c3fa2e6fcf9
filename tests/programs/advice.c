/*
 * What madvise(2) does after the resume, and what it did before: anonymous memory gives zeroes
 * after MADV_DONTNEED, a private file mapping the file's bytes; memory wiped on fork is wiped in
 * the copy, as in a child of fork(2), and again in its children; memory that may be dropped can be,
 * and sealed memory stays sealed; and names of memory.
 */
#include "frozen.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

enum { PAGE = 4096 };

static unsigned char *anonymous(size_t pages) {
    unsigned char *at =
        mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static int has_flag(const void *at, const char *letters) {
    return strstr(smaps_field(at, "VmFlags:"), letters) != NULL;
}

/* How the mapping that begins there is called. */
static const char *name_of(const void *at) {
    static char text[1 << 20], line[256];
    char start[32];
    snprintf(start, sizeof start, "%lx-", (unsigned long)at);
    slurp("/proc/self/maps", text, sizeof text);
    const char *found = strstr(text, start);
    CHECK(found && (found == text || found[-1] == '\n'));
    snprintf(line, sizeof line, "%.*s", (int)(strchr(found, '\n') - found), found);
    return strchr(line, '[') ? strchr(line, '[') : "";
}

int main(void) {
    unsigned char bytes[8 * PAGE];
    unsigned char *plain = anonymous(64), *wiped = anonymous(8);
    unsigned char *huge = anonymous(2048), *no_dump = anonymous(8);
    unsigned char *sequential = anonymous(8), *at_random = anonymous(8), *named = anonymous(8);
    unsigned char *sealed = anonymous(8), *constant = anonymous(8);
    fill(plain, 64 * PAGE, 1);
    fill(wiped, 8 * PAGE, 2);
    fill(sequential, 8 * PAGE, 3);
    fill(at_random, 8 * PAGE, 10);
    fill(named, 8 * PAGE, 11);
    fill(sealed, 8 * PAGE, 12);
    fill(constant, 8 * PAGE, 13);
    fill(huge, 2048 * PAGE, 4);
    fill(no_dump, 8 * PAGE, 5);
    CHECK(madvise(wiped, 8 * PAGE, MADV_WIPEONFORK) == 0);
    CHECK(madvise(sequential, 8 * PAGE, MADV_SEQUENTIAL) == 0);
    CHECK(madvise(at_random, 8 * PAGE, MADV_RANDOM) == 0);
    CHECK(mprotect(constant, 8 * PAGE, PROT_READ) == 0);
    const int can_seal = syscall(SYS_mseal, sealed, 8 * PAGE, 0) == 0;
    if (can_seal) { /* of which nobody can read, and nothing is to be */
        void *reserved = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(reserved != MAP_FAILED && syscall(SYS_mseal, reserved, 8 * PAGE, 0) == 0);
    }
    CHECK(!can_seal || syscall(SYS_mseal, constant, 8 * PAGE, 0) == 0);
    const int has_names =
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, 8 * PAGE, "a name: of 1") == 0;
    unsigned char *droppable =
        mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
    const int can_drop = droppable != MAP_FAILED && has_flag(droppable, " dp ");
    if (can_drop)
        fill(droppable, 8 * PAGE, 14);
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

    CHECK(intact(huge, 2048 * PAGE, 4) && has_flag(huge, " hg "));
    CHECK(intact(no_dump, 8 * PAGE, 5) && has_flag(no_dump, " dd "));
    CHECK(intact(sequential, 8 * PAGE, 3) && has_flag(sequential, " sr "));
    CHECK(intact(at_random, 8 * PAGE, 10) && has_flag(at_random, " rr "));
    CHECK(intact(named, 8 * PAGE, 11));
    CHECK(!has_names || !strcmp(name_of(named), "[anon:a name: of 1]"));
    CHECK(intact(sealed, 8 * PAGE, 12) && intact(constant, 8 * PAGE, 13));
    fill(sealed, 8 * PAGE, 15);
    if (can_seal) {
        CHECK(mprotect(sealed, PAGE, PROT_READ) == -1 && errno == EPERM);
        CHECK(munmap(sealed, PAGE) == -1 && errno == EPERM);
        CHECK(mprotect(constant, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EPERM);
    }
    if (can_drop) {
        CHECK(has_flag(droppable, " dp "));
        fill(droppable, 8 * PAGE, 16);
    }
    return success();
}
