/*
 * Signals to the whole process group while rfork() is at work: it makes a process that shares the
 * program's memory, to read the key, and the program's handlers run in the program alone.
 */
#include "frozen.h"

#include <signal.h>
#include <time.h>

static pid_t program;
static volatile sig_atomic_t handled, handled_by_another;

static void count(int number) {
    (void)number;
    if (getpid() == program)
        handled++;
    else
        handled_by_another++;
}

static pid_t start_sender(void) {
    const pid_t sender = fork();
    if (sender == 0) {
        CHECK(signal(SIGUSR1, SIG_IGN) == count);
        while (getppid() == program)
            kill(0, SIGUSR1);
        _exit(0);
    }
    CHECK(sender > 0);
    return sender;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A key that is none: all there is to a call is to read it. */
static void make_key(const char *path) {
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(file >= 0 && write(file, "none\n", 5) == 5 && close(file) == 0);
    CHECK(setenv("RFORK_KEY_FILE", path, 1) == 0);
}

int main(void) {
    const struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    char key[PATH_MAX];
    program = getpid();
    CHECK(setpgid(0, 0) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    snprintf(key, sizeof key, "%s", beside("key"));
    make_key(key);
    CHECK(setenv("RFORK_SPOOL", beside("spool"), 1) == 0);

    const pid_t sender = start_sender();
    while (!handled)
        usleep(1000);
    const double end = seconds() + 3;
    int calls = 0;
    for (; seconds() < end && !handled_by_another; calls++) {
        CHECK(rfork("localhost") == -1 && errno == EINVAL);
        CHECK(strstr(rfork_strerror_last(), "key file"));
    }
    CHECK(kill(sender, SIGKILL) == 0 && waitpid(sender, NULL, 0) == sender);
    printf("%d calls, %d signals\n", calls, (int)handled);
    CHECK(calls > 0 && !handled_by_another);
    CHECK(unlink(key) == 0);
    return success();
}
