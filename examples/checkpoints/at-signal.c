/*
 * A checkpoint when somebody wants one: at SIGUSR1, and go on; at SIGTERM, and end, as batch
 * systems and shutting down machines want it.
 *
 *     at-signal IMAGE RESULTS
 *     ./IMAGE
 */
#include <rfork/rfork.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NUMBERS = 1000 };

static volatile sig_atomic_t wanted, end_wanted; /* a checkpoint; and the end after it */

static void want(int signal) {
    wanted = 1;
    if (signal == SIGTERM)
        end_wanted = 1;
}

static void checkpoint(const char *image, FILE *results) {
    /*
     * The trap. What is in memory now is in the image: with the flag still set, the program that is
     * started from it would stop at once, and so would the one after that.
     */
    wanted = 0; /* first: what comes after this line is seen now or the next time */
    const int ends = end_wanted;
    if (ends)
        end_wanted = 0;
    fflush(results);
    switch (rfork_checkpoint(image)) {
    case RFORK_PARENT:
        printf("at-signal: goes on with %s\n", image);
        fflush(stdout);
        if (ends)
            exit(0);
        break;
    case RFORK_CHILD:
        break;
    default:
        fprintf(stderr, "at-signal: no checkpoint: %s\n", rfork_strerror_last());
        if (ends)
            exit(1);
    }
}

static void work(FILE *results, int number) {
    const struct timespec a_while = {0, 5000000};
    nanosleep(&a_while, NULL);
    fprintf(results, "%d\n", number * number);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: at-signal IMAGE RESULTS\n");
        return 2;
    }
    FILE *results = fopen(argv[2], "w");
    if (!results) {
        fprintf(stderr, "at-signal: cannot write %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    /* Not in the handler: it may have interrupted malloc. Where the work is at a good place. */
    struct sigaction action = {.sa_handler = want, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int number = 1; number <= NUMBERS; number++) {
        work(results, number);
        if (wanted)
            checkpoint(argv[1], results);
    }
    return fclose(results) == 0 ? 0 : 1;
}
