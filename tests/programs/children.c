/*
 * Children stay behind when a program goes on elsewhere; so whoever means that has to say so. Of
 * all kinds: running, ended, of another thread, with another signal than SIGCHLD.
 */
#include "frozen.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int ends[2]; /* a child lives until this is closed */

/* Returns when the child has its name. */
static pid_t start(int end_signal) {
    char byte;
    int named[2];
    CHECK(pipe2(named, O_CLOEXEC) == 0);
    const pid_t child = (pid_t)syscall(SYS_clone, end_signal, 0, 0, 0, 0);
    if (child == 0) {
        prctl(PR_SET_NAME, "a child of mine");
        close(named[1]);
        close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    CHECK(child > 0 && close(named[1]) == 0 && read(named[0], &byte, 1) >= 0);
    CHECK(close(named[0]) == 0);
    return child;
}

static int can_be_in(int namespaces) {
    const pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD | namespaces, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return child > 0 && waitpid(child, NULL, 0) == child;
}

static void let_end(pid_t child) {
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, __WALL) == child);
}

static void *of_a_thread(void *child) {
    *(pid_t *)child = start(SIGCHLD);
    pause();
    return NULL;
}

static int checkpoint(unsigned flags) {
    const struct rfork_options options = {.size = sizeof options, .flags = flags};
    return rfork_checkpoint_with(beside("another"), &options);
}

static void refuses(pid_t child, const char *how) {
    char named[64];
    snprintf(named, sizeof named, "%d (%s", child, how);
    errno = 0;
    CHECK(checkpoint(0) == -1 && errno == ENOTSUP);
    if (!strstr(rfork_strerror_last(), named))
        fprintf(stderr, "no word of %s: %s\n", named, rfork_strerror_last());
    CHECK(strstr(rfork_strerror_last(), named));
    CHECK(strstr(rfork_strerror_last(), "RFORK_IGNORE=children"));
}

static void is_well(unsigned flags) {
    const int outcome = checkpoint(flags);
    if (outcome == CHILD)
        exit(success());
    if (outcome < 0)
        fprintf(stderr, "%s\n", rfork_strerror_last());
    CHECK(outcome == PARENT);
    run_image(beside("another"));
    CHECK(unlink(beside("another")) == 0);
}

int main(void) {
    signal(SIGUSR1, SIG_IGN);
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    is_well(0);

    pid_t child = start(SIGCHLD);
    refuses(child, "a child of mine)");
    CHECK(kill(child, SIGKILL) == 0);
    siginfo_t info;
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
    refuses(child, "a child of mine, which has ended)");
    CHECK(waitpid(child, NULL, 0) == child);
    is_well(0);

    child = start(SIGUSR1);
    refuses(child, "a child of mine)");
    let_end(child);

    /* One with a pid of its own there, and another that we know. */
    if (can_be_in(CLONE_NEWUSER | CLONE_NEWPID)) {
        child = start(SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID);
        refuses(child, "a child of mine)");
        let_end(child);
    }

    pthread_t thread;
    volatile pid_t of_thread = 0;
    CHECK(pthread_create(&thread, NULL, of_a_thread, (void *)&of_thread) == 0);
    while (!of_thread)
        sched_yield();
    refuses(of_thread, "a child of mine)");

    close(ends[0]);
    close(ends[1]);
    is_well(RFORK_LEAVE_CHILDREN);
    CHECK(setenv("RFORK_IGNORE", "children", 1) == 0);
    is_well(0);
    CHECK(kill(of_thread, 0) == 0);
    let_end(of_thread);

    struct {
        struct rfork_options known;
        long unknown;
    } longer = {.known = {.size = sizeof longer}, .unknown = 1};
    CHECK(rfork_checkpoint_with(beside("another"), &longer.known) == -1 && errno == EINVAL);
    CHECK(checkpoint(1u << 31) == -1 && errno == EINVAL);
    return success();
}
