/*
 * A checkpoint every few minutes, so that a crash of the machine costs no more than these.
 *
 *     every SECONDS IMAGE RESULTS
 *     ./IMAGE
 *
 * The work is to write the squares of the numbers up to a thousand into the file RESULTS. The image
 * is replaced by each checkpoint: under its name there is always a complete one, the newest.
 */
#include <rfork/rfork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NUMBERS = 1000 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time); /* in an image it goes on from where it was frozen */
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void checkpoint(const char *image, FILE *results, int number) {
    /*
     * What stdio has buffered is memory, and would be written by both. What has been written is on
     * the disk, and stays there: a program that is started from an older image writes over it.
     */
    fflush(results);
    switch (rfork_checkpoint(image)) {
    case RFORK_PARENT:
        printf("every: %s begins at %d\n", image, number);
        break;
    case RFORK_CHILD:
        printf("every: goes on at %d\n", number);
        break;
    default: /* the work goes on, and perhaps there is room on the disk the next time */
        fprintf(stderr, "every: no checkpoint: %s\n", rfork_strerror_last());
    }
    fflush(stdout);
}

static void work(FILE *results, int number) {
    const struct timespec a_while = {0, 5000000};
    nanosleep(&a_while, NULL);
    fprintf(results, "%d\n", number * number);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: every SECONDS IMAGE RESULTS\n");
        return 2;
    }
    const double interval = atof(argv[1]);
    FILE *results = fopen(argv[3], "w");
    if (!results) {
        fprintf(stderr, "every: cannot write %s: %s\n", argv[3], strerror(errno));
        return 1;
    }
    double last = now();
    for (int number = 1; number <= NUMBERS; number++) {
        work(results, number);
        if (now() - last >= interval) {
            checkpoint(argv[2], results, number + 1);
            last = now();
        }
    }
    return fclose(results) == 0 ? 0 : 1;
}
