/*
 * window - at a terminal of some size it freezes itself into IMAGE and ends, or, if that is not set,
 * waits to be frozen from outside. Then it says what ends its wait: "25x80, interrupted", the size of
 * the terminal when SIGWINCH has come; "25x80, heard before", if it had come before; or "in peace".
 */
#include "frozen.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

enum { PATIENCE_MS = 1000, UNTIL_FROZEN_MS = 5000 };

static volatile sig_atomic_t heard;

static void hear(int signal) {
    heard = signal;
}

int main(void) {
    struct winsize size;
    const struct sigaction action = {.sa_handler = hear};
    CHECK(sigaction(SIGWINCH, &action, NULL) == 0);
    if (getenv("IMAGE") && freeze() == PARENT)
        return 0;
    if (!getenv("IMAGE")) {
        puts("ready");
        fflush(stdout);
    }
    const int outcome = poll(NULL, 0, getenv("IMAGE") ? PATIENCE_MS : UNTIL_FROZEN_MS);
    CHECK(outcome == 0 || (errno == EINTR && heard));
    if (heard && ioctl(1, TIOCGWINSZ, &size) == 0)
        printf("%dx%d, %s\n", size.ws_row, size.ws_col, outcome ? "interrupted" : "heard before");
    else
        puts(heard ? "heard without a terminal" : "in peace");
    return fflush(stdout);
}
