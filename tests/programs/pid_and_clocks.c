/*
 * pid_and_clocks [new|elsewhere]... - a checkpoint keeps its pid, and what libc remembers of it;
 * CLOCK_MONOTONIC and CLOCK_BOOTTIME go on from where they were frozen, in the vDSO as in the
 * system call; and the process has no rights that it had not before. "new": started with
 * RFORK_PID=new. "elsewhere": frozen in another user namespace, in which other rights are to be
 * had.
 */
#include "frozen.h"

#include <linux/securebits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { LONGEST = 60 }; /* seconds that a freeze and a resume may take */

static volatile sig_atomic_t raised;

static void on_signal(int number) {
    raised = number;
}

static double seconds(const struct timespec *time) {
    return (double)time->tv_sec + (double)time->tv_nsec / 1e9;
}

static double by_vdso(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return seconds(&time);
}

static double by_system_call(clockid_t clock) {
    struct timespec time;
    CHECK(syscall(SYS_clock_gettime, clock, &time) == 0);
    return seconds(&time);
}

/* Neither backwards, nor further than it takes. */
static void goes_on(clockid_t clock, double since) {
    const double first = by_vdso(clock), second = by_system_call(clock), third = by_vdso(clock);
    if (!(since <= first && first <= second && second <= third && third < since + LONGEST))
        fprintf(stderr, "clock %d: %f, then %f %f %f\n", (int)clock, since, first, second, third);
    CHECK(since <= first && first <= second && second <= third && third < since + LONGEST);
}

/* A time that was waited for before the freeze comes after it. */
static void comes(double when) {
    const struct timespec until = {(time_t)when, (long)((when - (double)(time_t)when) * 1e9)};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
    CHECK(by_vdso(CLOCK_MONOTONIC) >= when && by_vdso(CLOCK_MONOTONIC) < when + LONGEST);
}

static void same_line(const char *before, const char *after, const char *name) {
    const char *a = strstr(before, name), *b = strstr(after, name);
    CHECK(a && b && !strncmp(a, b, strcspn(a, "\n") + 1));
}

static void lock_of(pthread_mutex_t *mutex, int type, int robust) {
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, type) == 0);
    if (robust)
        CHECK(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(mutex, &kind) == 0 && pthread_mutex_lock(mutex) == 0);
}

static void same_pid(pid_t pid) {
    char link[20] = "", path[40], name[40] = "";
    CHECK(getpid() == pid && gettid() == pid);
    CHECK(readlink("/proc/self", link, sizeof link) > 0 && atoi(link) == pid);
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    slurp(path, name, sizeof name);
    CHECK(!strcmp(name, "pid_and_clocks\n"));
    signal(SIGUSR1, on_signal);
    CHECK(raise(SIGUSR1) == 0 && raised == SIGUSR1);
    raised = 0;
    CHECK(kill(pid, SIGUSR1) == 0 && raised == SIGUSR1);
}

enum { LINES = 8 };
static const char *const lines[LINES] = {
    "NoNewPrivs:", "Uid:", "Gid:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};

int main(int argc, char **argv) {
    static char before[1 << 16], after[1 << 16];
    int gets_new = 0, elsewhere = 0;
    for (int i = 1; i < argc; i++) {
        gets_new |= !strcmp(argv[i], "new");
        elsewhere |= !strcmp(argv[i], "elsewhere");
    }
    const pid_t pid = getpid();
    pthread_mutex_t recursive, checking, robust;
    struct stat own;
    CHECK(prctl(PR_SET_NAME, "pid_and_clocks") == 0);
    lock_of(&recursive, PTHREAD_MUTEX_RECURSIVE, 0);
    CHECK(pthread_mutex_lock(&recursive) == 0);
    lock_of(&checking, PTHREAD_MUTEX_ERRORCHECK, 0);
    lock_of(&robust, PTHREAD_MUTEX_NORMAL, 1);
    const int securebits = prctl(PR_GET_SECUREBITS), dumpable = prctl(PR_GET_DUMPABLE);
    slurp("/proc/self/status", before, sizeof before);
    const double monotonic = by_vdso(CLOCK_MONOTONIC), boottime = by_vdso(CLOCK_BOOTTIME);

    const int outcome = freeze();

    goes_on(CLOCK_MONOTONIC, monotonic);
    goes_on(CLOCK_BOOTTIME, boottime);
    comes(monotonic + 0.05);
    slurp("/proc/self/status", after, sizeof after);
    if (!elsewhere)
        for (int i = 0; i < LINES; i++)
            same_line(before, after, lines[i]);
    if (geteuid() != 0)
        same_line("CapEff:\t0000000000000000\n", after, "CapEff:");
    CHECK(prctl(PR_GET_SECUREBITS) == securebits && prctl(PR_GET_DUMPABLE) == dumpable);
    CHECK(stat("/proc/self/status", &own) == 0 && own.st_uid == geteuid());

    if (outcome == CHILD && gets_new) {
        CHECK(getpid() != pid && raise(SIGCONT) == 0);
        CHECK(pthread_mutex_unlock(&checking) == EPERM); /* as rfork-image(5) says */
        return success();
    }
    same_pid(pid);
    CHECK(pthread_mutex_lock(&recursive) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_mutex_unlock(&recursive) == 0);
    CHECK(pthread_mutex_lock(&checking) == EDEADLK && pthread_mutex_unlock(&checking) == 0);
    CHECK(pthread_mutex_unlock(&robust) == 0);
    return success();
}
