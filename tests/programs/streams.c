/*
 * Writes to standard output, standard error and a duplicate of standard output, reads from standard
 * input: streams.test looks where it goes. IMAGE alone decides when it freezes.
 */
#include "frozen.h"

int main(void) {
    char line[100] = "nothing";
    CHECK(dup2(1, 7) == 7);
    CHECK(fcntl(7, F_SETFD, FD_CLOEXEC) == 0);

    const int outcome = freeze();

    if (outcome == PARENT || fcntl(1, F_GETFD) >= 0)
        CHECK(fcntl(7, F_GETFD) == FD_CLOEXEC);
    const ssize_t got = read(0, line, sizeof line - 1);
    line[got > 0 ? got : 0] = '\0';
    dprintf(1, "output\n");
    dprintf(2, "error, after reading %s", got > 0 ? line : got == 0 ? "the end\n" : "nothing\n");
    dprintf(7, "seven\n");
    dprintf(1, "EXIT-SUCCESS\n");
    return 0;
}
