/*
 * until_resumed LEND - of an object to which no descriptor of the program leads, but something else
 * in the image. No freeze yields one yet; so LEND changes the image: the write end of a pipe is for
 * the resume only. The copy finds its number closed, and reads the pipe to its end.
 */
#include "frozen.h"

#include <spawn.h>

int main(int argc, char **argv) {
    char *const lend[] = {argc > 1 ? argv[1] : NULL, getenv("IMAGE"), (char *)"77", NULL};
    int ends[2];
    char text[8];
    CHECK(argc == 2 && pipe(ends) == 0);
    CHECK(dup2(ends[1], 77) == 77 && close(ends[1]) == 0 && write(77, "abc", 3) == 3);
    if (freeze_into(getenv("IMAGE")) == PARENT) {
        pid_t pid;
        int status;
        char *nothing[] = {NULL};
        CHECK(posix_spawn(&pid, lend[0], NULL, NULL, lend, nothing) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(close(77) == 0);
    } else {
        CHECK(fcntl(77, F_GETFD) == -1 && errno == EBADF);
    }
    CHECK(read(ends[0], text, sizeof text) == 3 && read(ends[0], text, sizeof text) == 0);
    return success();
}
