/*
 * sleeper [handle | again | move HOST] - freezes itself and ends; the copy says "resumed" and waits
 * for signals, on all of which it does by default what was so when it was started. "handle": SIGHUP
 * ends it with status 3. "again": the copy freezes itself once more, and its copy waits. "move": it
 * rforks to HOST instead, with two threads, so that there is a process in front of the copy.
 */
#include "frozen.h"

#include <pthread.h>
#include <signal.h>

static void on_hup(int number) {
    (void)number;
    _exit(3);
}

static void *wait_for_ever(void *unused) {
    for (;;)
        pause();
    return unused;
}

static int move_with_a_thread(const char *host) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    const int outcome = rfork(host);
    if (outcome < 0)
        fprintf(stderr, "rfork: %s\n", rfork_strerror_last());
    CHECK(outcome >= 0);
    return outcome;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "handle"))
        CHECK(signal(SIGHUP, on_hup) == SIG_DFL);
    if ((!strcmp(how, "move") ? move_with_a_thread(argv[2]) : freeze()) == PARENT)
        return success();
    if (!strcmp(how, "again") && freeze_into(beside("again")) == PARENT)
        return success();
    puts("resumed");
    fflush(stdout);
    for (;;)
        pause();
}
