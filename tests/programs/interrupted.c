/*
 * interrupted fork|freeze - while the caller waits for its image, a signal handler of its own forks
 * a child that returns from the handler, or freezes the program once more. The call the handler has
 * interrupted succeeds in the caller; a second freeze is refused, or its copy goes on as well.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { SIZE = 200 << 20 }; /* enough for the call to take a while */

static char inner_image[PATH_MAX];
static volatile int signals, inner = 99, forks;
static volatile pid_t child;

static const struct rfork_options beside_the_poker = {.size = sizeof(struct rfork_options),
                                                      .flags = RFORK_LEAVE_CHILDREN};

static void on_signal(int number) {
    (void)number;
    if (signals++)
        return;
    if (forks) {
        child = fork();
    } else {
        inner = rfork_checkpoint_with(inner_image, &beside_the_poker);
        if (inner == -1 && !*rfork_strerror_last())
            inner = 99;
    }
}

int main(int argc, char **argv) {
    forks = argc > 1 && !strcmp(argv[1], "fork");
    snprintf(inner_image, sizeof inner_image, "%s", beside("inner"));
    char *memory = malloc(SIZE);
    CHECK(memory);
    fill(memory, SIZE, 1);
    const struct sigaction action = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    const pid_t self = getpid(), poker = fork();
    if (poker == 0) {
        const struct timespec pause = {.tv_nsec = 60000000};
        nanosleep(&pause, NULL);
        kill(self, SIGUSR1);
        _exit(0);
    }

    const int outcome = rfork_checkpoint_with(getenv("IMAGE"), &beside_the_poker);

    if (getpid() != self && child == 0 && forks && signals)
        _exit(0); /* whatever the child of the handler was told */
    if (outcome == CHILD || inner == CHILD) {
        CHECK(intact(memory, SIZE, 1));
        return success();
    }
    if (outcome < 0)
        fprintf(stderr, "%s\n", rfork_strerror_last());
    CHECK(outcome == PARENT);
    CHECK(access(getenv("IMAGE"), X_OK) == 0);
    CHECK(waitpid(poker, NULL, 0) == poker &&
          (!forks || !child || waitpid(child, NULL, 0) == child));
    if (signals == 0)
        puts("note: the signal came too late");
    CHECK(forks || signals == 0 || inner == PARENT || inner == -1);
    if (inner == PARENT) {
        const pid_t starter = fork();
        if (starter == 0) {
            execl(inner_image, "inner", (char *)NULL);
            _exit(99);
        }
        int status = -1;
        CHECK(waitpid(starter, &status, 0) == starter);
        if (status)
            fprintf(stderr, "the image made by the handler: wait status %#x\n", (unsigned)status);
        CHECK(status == 0);
    }
    unlink(inner_image);
    return success();
}
