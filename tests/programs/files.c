/*
 * files FILE FLAGS... - opens files, one descriptor each from 10 on, freezes, and ends. The image
 * goes on: files.test has done something to them meanwhile. FLAGS: r, w, a (append), rw; "n" behind
 * it makes it nonblocking. What is written to has "before\n" in it when the program freezes, and
 * the image adds "after\n".
 */
#include "frozen.h"

#include <sys/mman.h>

enum { FIRST = 10 };

static int flags_of(const char *word) {
    const int access = strchr(word, 'a')                        ? O_WRONLY | O_APPEND
                       : strchr(word, 'w') && strchr(word, 'r') ? O_RDWR
                       : strchr(word, 'w')                      ? O_WRONLY
                                                                : O_RDONLY;
    return access | (strchr(word, 'n') ? O_NONBLOCK : 0);
}

int main(int argc, char **argv) {
    int flags[32];
    char *mapped[32] = {NULL};
    for (int i = 1; i + 1 < argc; i += 2) {
        const int fd = open(argv[i], flags_of(argv[i + 1]) | O_CREAT, 0644), number = FIRST + i / 2;
        if (strchr(argv[i + 1], 'm')) {
            mapped[i / 2] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            CHECK(mapped[i / 2] != MAP_FAILED && close(fd) == 0);
            continue;
        }
        CHECK(fd >= 0 && dup2(fd, number) == number && close(fd) == 0);
        flags[i / 2] = fcntl(number, F_GETFL);
        if ((flags[i / 2] & O_ACCMODE) == O_RDONLY)
            CHECK(lseek(number, 4, SEEK_SET) == 4);
        else
            CHECK(write(number, "before\n", 7) == 7);
    }
    if (freeze() == PARENT)
        return 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (mapped[i / 2]) {
            memcpy(mapped[i / 2], "after", 5);
            continue;
        }
        CHECK(fcntl(FIRST + i / 2, F_GETFL) == flags[i / 2]);
        if ((flags[i / 2] & O_ACCMODE) != O_RDONLY)
            CHECK(write(FIRST + i / 2, "after\n", 6) == 6);
    }
    return success();
}
