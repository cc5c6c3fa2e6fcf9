/*
 * A library for LD_PRELOAD: a program that was not made for it freezes itself into $IMAGE when it
 * gets signal 40, and ends; the image goes on. Shells can send that to themselves.
 */
#include <rfork/rfork.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FREEZE = 40 };

static void freeze(int signal) {
    (void)signal;
    const int outcome = rfork_checkpoint(getenv("IMAGE"));
    if (outcome == RFORK_CHILD)
        return;
    if (outcome < 0)
        fprintf(stderr, "checkpoint: %s\n", rfork_strerror_last());
    _exit(outcome < 0);
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {.sa_handler = freeze, .sa_flags = SA_RESTART};
    sigaction(FREEZE, &action, NULL);
}
