/*
 * sleeper [handle | again] - freezes itself and ends; the copy says "resumed" and waits for
 * signals, on all of which it does by default what was so when it was started. "handle": SIGHUP
 * ends it with status 3. "again": the copy freezes itself once more, and its copy waits.
 */
#include "frozen.h"

#include <signal.h>

static void on_hup(int number) {
    (void)number;
    _exit(3);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "handle"))
        CHECK(signal(SIGHUP, on_hup) == SIG_DFL);
    if (freeze() == PARENT)
        return success();
    if (!strcmp(how, "again") && freeze_into(beside("again")) == PARENT)
        return success();
    puts("resumed");
    fflush(stdout);
    for (;;)
        pause();
}
