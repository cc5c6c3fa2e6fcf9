/*
 * A checkpoint that is written while the program goes on: it is of the moment of the call, wait(2)
 * sees nothing of it, and how it ends is asked later. To be run under `migrate --delay`.
 */
#include "frozen.h"

#include <pthread.h>
#include <sys/stat.h>

enum { SIZE = 4 << 20 };

static volatile int waited = 99;

static int checkpoint(const char *name, unsigned flags) {
    const struct rfork_options options = {.size = sizeof options, .flags = flags};
    return rfork_checkpoint_with(beside(name), &options);
}

static void *wait_for_it(void *unused) {
    waited = rfork_checkpoint_wait(-1);
    return unused;
}

/* In every image there is none, and memory is that of the call. */
static int copy(const unsigned char *memory, uint64_t seed) {
    CHECK(intact(memory, SIZE, seed));
    errno = 0;
    CHECK(rfork_checkpoint_wait(-1) == -1 && errno == ECHILD && *rfork_strerror_last());
    return success();
}

int main(void) {
    unsigned char *memory = malloc(SIZE);
    int outcome, status;
    CHECK(memory);
    fill(memory, SIZE, 1);
    CHECK(rfork_checkpoint_wait(0) == -1 && errno == ECHILD);
    CHECK(checkpoint("both", RFORK_BACKGROUND | RFORK_END) == -1 && errno == EINVAL);

    if ((outcome = checkpoint("first", RFORK_BACKGROUND)) == CHILD)
        return copy(memory, 1);
    CHECK(outcome == PARENT && access(beside("first"), F_OK) != 0);
    fill(memory, SIZE, 2);
    errno = 4242;
    CHECK(rfork_checkpoint_wait(0) == 0 && rfork_checkpoint_wait(20) == 0 && errno == 4242);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    CHECK(checkpoint("another", RFORK_BACKGROUND) == -1 && errno == EBUSY);
    const pid_t child = fork(); /* has nothing to do with it */
    if (child == 0)
        _exit(rfork_checkpoint_wait(-1) == -1 && errno == ECHILD ? 0 : 1);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);

    /* One in the foreground, and a thread that waits for the first one: it does so in no copy. */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_it, NULL) == 0);
    if ((outcome = checkpoint("second", 0)) == CHILD) {
        CHECK(pthread_join(thread, NULL) == 0 && (waited == -1 || waited == 1));
        return copy(memory, 2);
    }
    CHECK(outcome == PARENT);
    CHECK(pthread_join(thread, NULL) == 0 && waited == 1);
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    run_image(beside("first"));
    run_image(beside("second"));
    CHECK(rfork_checkpoint_wait(-1) == -1 && errno == ECHILD);

    /* One that fails. */
    CHECK(checkpoint("third", RFORK_BACKGROUND) == PARENT && mkdir(beside("third"), 0700) == 0);
    CHECK(rfork_checkpoint_wait(-1) == -1 && errno != ECHILD);
    CHECK(strstr(rfork_strerror_last(), "third"));
    CHECK(rmdir(beside("third")) == 0);

    /* Whoever began it ends. */
    const pid_t beginner = fork();
    if (beginner == 0) {
        outcome = checkpoint("fourth", RFORK_BACKGROUND);
        _exit(outcome == PARENT ? 0 : outcome == CHILD ? copy(memory, 2) : 1);
    }
    CHECK(waitpid(beginner, &status, 0) == beginner && status == 0);
    for (int i = 0; i < 2000 && access(beside("fourth"), X_OK) != 0; i++)
        usleep(10000);
    run_image(beside("fourth"));
    return success();
}
