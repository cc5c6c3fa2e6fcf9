/*
 * Kills a command by SIGKILL at a moment.
 *
 *   killer us=N COMMAND...     N microseconds after its exec
 *   killer call=N COMMAND...   at its Nth stop at a system call: each call has two, one before it and
 *                              one behind it
 *
 * Prints "killed", or how it ended and how long it was: "ended 0 29310 us 1802 stops". A command that
 * has not ended after a minute is a failure.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000 + t.tv_nsec / 1000;
}

static void fail(const char* what) {
    fprintf(stderr, "killer: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* At its exec, stopped. */
static pid_t begin(char** command) {
    const pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        alarm(60);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execvp(command[0], command);
        fail(command[0]);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        fail("exec");
    return pid;
}

static int say(int status, int64_t us, long stops) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return puts("killed"), 0;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    printf("ended %d %ld us %ld stops\n", code, (long)us, stops);
    return 0;
}

static int kill_at_time(pid_t pid, int64_t us) {
    int status = 0;
    const int64_t begun = now_us(), due = begun + us;
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    while (us && now_us() < due) {
        const struct timespec pause = {0, due - now_us() > 300 ? 100000 : 0};
        if (waitpid(pid, &status, WNOHANG) == pid)
            return say(status, now_us() - begun, 0);
        if (pause.tv_nsec)
            nanosleep(&pause, NULL);
    }
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid)
        fail("waitpid");
    return say(status, now_us() - begun, 0);
}

static int kill_at_call(pid_t pid, long wanted) {
    int status = 0, signal = 0;
    const int64_t begun = now_us();
    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD);
    for (long stops = 0;;) {
        ptrace(PTRACE_SYSCALL, pid, NULL, signal);
        if (waitpid(pid, &status, 0) != pid)
            fail("waitpid");
        if (!WIFSTOPPED(status))
            return say(status, now_us() - begun, stops);
        const int at_call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        signal = at_call ? 0 : WSTOPSIG(status);
        if (at_call && ++stops == wanted)
            kill(pid, SIGKILL);
    }
}

int main(int argc, char** argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2 && strncmp(argv[1], "us=", 3) == 0)
        return kill_at_time(begin(argv + 2), atoll(argv[1] + 3));
    if (argc > 2 && strncmp(argv[1], "call=", 5) == 0)
        return kill_at_call(begin(argv + 2), atol(argv[1] + 5));
    fprintf(stderr, "usage: killer us=N|call=N COMMAND...\n");
    return 2;
}
