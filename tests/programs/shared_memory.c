/*
 * Shared anonymous memory keeps its contents and is shared again: with a child forked after the
 * resume, but not between two copies of one image.
 */
#include "frozen.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { SIZE = 1 << 20, PAGE = 4096 };

int main(void) {
    unsigned char *shared =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char *sealed =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED && sealed != MAP_FAILED);
    fill(shared, 10 * PAGE, 1);
    fill(shared + 100 * PAGE, 20 * PAGE, 2);
    fill(sealed, SIZE / 2, 3);
    CHECK(mprotect(sealed, SIZE, PROT_NONE) == 0);
    int *counter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(counter != MAP_FAILED);
    pid_t child =
        fork(); /* content that another process has put there, and this one never touched */
    if (child == 0) {
        fill(shared + 200 * PAGE, 5 * PAGE, 4);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);

    freeze();

    CHECK(intact(shared, 10 * PAGE, 1) && intact(shared + 100 * PAGE, 20 * PAGE, 2));
    CHECK(intact(shared + 200 * PAGE, 5 * PAGE, 4));
    CHECK(is_zero(shared + 10 * PAGE, 90 * PAGE) && is_zero(shared + 205 * PAGE, 51 * PAGE));
    CHECK(strstr(smaps_field(shared, "VmFlags:"), " sh "));
    CHECK(mprotect(sealed, SIZE, PROT_READ) == 0);
    CHECK(intact(sealed, SIZE / 2, 3) && is_zero(sealed + SIZE / 2, SIZE / 2));

    CHECK(*counter == 0);
    for (int i = 1; i <= 3; i++) {
        child = fork();
        if (child == 0) {
            ++*counter;
            fill(shared, 10 * PAGE, 50 + (uint64_t)i);
            _exit(0);
        }
        CHECK(child > 0 && waitpid(child, NULL, 0) == child);
        CHECK(*counter == i && intact(shared, 10 * PAGE, 50 + (uint64_t)i));
    }
    return success();
}
