/*
 * What the programs with threads have in common: they wait for events, not for time to pass, and
 * each thread can tell whether it is what it was. See frozen.h.
 */
#ifndef FROZEN_THREADS_H
#define FROZEN_THREADS_H

#include "frozen.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

enum {
    PATIENCE = 30, /* seconds, after which an event counts as lost */
    MILLISECOND = 1000000,
    SECOND = 1000000000
};

static inline int64_t now(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return time.tv_sec * (int64_t)SECOND + time.tv_nsec;
}

static inline struct timespec timespec_of(int64_t nanoseconds) {
    struct timespec time;
    time.tv_sec = (time_t)(nanoseconds / SECOND);
    time.tv_nsec = (long)(nanoseconds % SECOND);
    return time;
}

/* A point in time of `clock`. */
static inline struct timespec after(clockid_t clock, int64_t nanoseconds) {
    return timespec_of(now(clock) + nanoseconds);
}

static inline void sleep_a_moment(void) {
    const struct timespec moment = {0, MILLISECOND};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) == 0);
}

#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        for (int moments_ = 0; !(condition); moments_++) {                                         \
            CHECK(moments_ < PATIENCE * 1000 && "eventually " #condition);                         \
            sleep_a_moment();                                                                      \
        }                                                                                          \
    } while (0)

static inline void post(sem_t *semaphore) {
    CHECK(sem_post(semaphore) == 0);
}

/* For an event that a test needs: not the call under test, but it has to be unharmed too. */
static inline void await(sem_t *semaphore) {
    const struct timespec deadline = after(CLOCK_MONOTONIC, PATIENCE * (int64_t)SECOND);
    CHECK(sem_clockwait(semaphore, CLOCK_MONOTONIC, &deadline) == 0);
}

static inline pid_t own_tid(void) {
    return (pid_t)syscall(SYS_gettid);
}

/*
 * Whether the thread sleeps in that system call. Opens a file of /proc, which cannot be frozen: not
 * while another thread may be freezing the process.
 */
__attribute__((unused)) static int sleeps_in(pid_t tid, long call) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)tid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    const ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    CHECK(got > 0);
    text[got] = '\0';
    char *end;
    const long number = strtol(text, &end, 10);
    return end != text && (number == call || number == SYS_restart_syscall);
}

/* What the kernel knows about a thread, and the thread can ask. */
struct portrait {
    pid_t pid, tid;
    pthread_t handle;
    char name[16];
    uint64_t mask;
    void *alternate_stack;
    size_t alternate_size;
    int alternate_flags, niceness, policy;
    unsigned long slack;
    void *robust_list;
    size_t robust_size;
    int *error_number;
};

__attribute__((unused)) static void draw(struct portrait *p) {
    memset(p, 0, sizeof *p);
    p->pid = getpid();
    p->tid = own_tid();
    p->handle = pthread_self();
    p->error_number = &errno;
    CHECK(prctl(PR_GET_NAME, p->name) == 0);
    CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &p->mask, sizeof p->mask) == 0);
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0);
    p->alternate_stack = stack.ss_sp;
    p->alternate_size = stack.ss_size;
    p->alternate_flags = stack.ss_flags;
    const int error = errno;
    errno = 0;
    p->niceness = getpriority(PRIO_PROCESS, 0); /* of the thread */
    CHECK(errno == 0);
    errno = error;
    CHECK((p->policy = sched_getscheduler(0)) >= 0);
    p->slack = (unsigned long)prctl(PR_GET_TIMERSLACK);
    CHECK(syscall(SYS_get_robust_list, 0, &p->robust_list, &p->robust_size) == 0);
}

/* Each line by itself, so that the one that fails says what has changed. */
__attribute__((unused)) static void check_portrait(const struct portrait *was) {
    struct portrait is;
    draw(&is);
    CHECK(is.pid == was->pid);
    CHECK(is.tid == was->tid);
    CHECK(pthread_equal(is.handle, was->handle));
    CHECK(!strcmp(is.name, was->name));
    CHECK(is.mask == was->mask);
    CHECK(is.alternate_stack == was->alternate_stack);
    CHECK(is.alternate_size == was->alternate_size);
    CHECK(is.alternate_flags == was->alternate_flags);
    CHECK(is.niceness == was->niceness);
    CHECK(is.policy == was->policy);
    CHECK(is.slack == was->slack);
    CHECK(is.robust_list == was->robust_list && is.robust_size == was->robust_size);
    CHECK(is.error_number == was->error_number);
}

/* Adds to the nice value of the calling thread. */
__attribute__((unused)) static void be_nicer(int by) {
    errno = 0;
    const int is = getpriority(PRIO_PROCESS, 0);
    CHECK(errno == 0);
    CHECK(setpriority(PRIO_PROCESS, 0, is + by < 19 ? is + by : 19) == 0);
}

/* The six kinds of mutex; KIND_SHARED has to be in shared memory. */
enum mutex_kind {
    KIND_NORMAL,
    KIND_RECURSIVE,
    KIND_CHECKING,
    KIND_ROBUST,
    KIND_SHARED,
    KIND_INHERITING,
    MUTEX_KINDS
};

__attribute__((unused)) static void make_mutex(pthread_mutex_t *mutex, enum mutex_kind kind) {
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    const int type = kind == KIND_RECURSIVE  ? PTHREAD_MUTEX_RECURSIVE
                     : kind == KIND_CHECKING ? PTHREAD_MUTEX_ERRORCHECK
                                             : PTHREAD_MUTEX_NORMAL;
    CHECK(pthread_mutexattr_settype(&attributes, type) == 0);
    if (kind == KIND_ROBUST)
        CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    if (kind == KIND_SHARED)
        CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    if (kind == KIND_INHERITING)
        CHECK(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutex_init(mutex, &attributes) == 0);
    CHECK(pthread_mutexattr_destroy(&attributes) == 0);
}

#endif
