/*
 * states STATE - a program that is in a state in which nobody may freeze it, and stays there. It
 * writes "ready" when it is.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int stay(void) {
    if (write(STDOUT_FILENO, "ready\n", 6) != 6)
        return 1;
    for (;;)
        pause();
}

/* It ends with its parent. */
static pid_t make_child(void) {
    const pid_t child = fork();
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

static int stays_alone(void) {
    return stay();
}

static int has_a_child(void) {
    if (make_child() == 0)
        for (;;)
            pause();
    return stay();
}

static int has_a_zombie(void) {
    siginfo_t info;
    const pid_t child = make_child();
    if (child == 0)
        _exit(0);
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    return stay();
}

static int is_filtered(void) {
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, all};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 1;
    return stay();
}

static int is_undumpable(void) {
    return prctl(PR_SET_DUMPABLE, 0) == 0 ? stay() : 1;
}

/* Traces a child that stands still: stopped by a signal that its tracer has not passed on. */
static int traces_a_stopped_child(void) {
    int status;
    const pid_t child = make_child();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return 1;
    return stay();
}

static int traces_a_child(void) {
    const pid_t child = make_child();
    if (child == 0)
        for (;;)
            pause();
    return ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0 ? stay() : 1;
}

static int write_to(const char* path, const char* text) {
    const int fd = open(path, O_WRONLY);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0;
}

/* Root's, but for the user's number: only a process outside may say who is who in it. */
static int is_in_a_foreign_namespace(void) {
    int there[2], status, named = 0;
    char path[64];
    if (pipe(there) != 0)
        return 1;
    const pid_t helper = make_child();
    if (helper == 0) {
        char byte;
        if (read(there[0], &byte, 1) == 1) {
            snprintf(path, sizeof path, "/proc/%d/gid_map", getppid());
            named = write_to(path, "0 0 65536");
            snprintf(path, sizeof path, "/proc/%d/uid_map", getppid());
            named = named && write_to(path, "0 0 65536");
        }
        _exit(!named);
    }
    if (unshare(CLONE_NEWUSER) != 0 || write(there[1], "", 1) != 1 ||
        waitpid(helper, &status, 0) != helper || status != 0)
        return 1;
    if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
        setresuid(65534, 65534, 65534) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0)
        return 1;
    return stay();
}

static int waits_as_well(void* argument) {
    for (;;)
        pause();
    return argument != NULL;
}

static int is_threaded(void) {
    static char stack[16384];
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    return clone(waits_as_well, stack + sizeof stack, flags, NULL) > 0 ? stay() : 1;
}

/* A thread whose rights are not those of the others. */
static int gives_up_rights(void* argument) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return waits_as_well(argument);
}

static int has_different_rights(void) {
    static char stack[16384];
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    return clone(gives_up_rights, stack + sizeof stack, flags, NULL) > 0 ? stay() : 1;
}

static const struct {
    const char* name;
    int (*enter)(void);
} states[] = {
    {"alone", stays_alone},
    {"child", has_a_child},
    {"zombie", has_a_zombie},
    {"filtered", is_filtered},
    {"undumpable", is_undumpable},
    {"traces", traces_a_child},
    {"traces-stopped", traces_a_stopped_child},
    {"foreign", is_in_a_foreign_namespace},
    {"threaded", is_threaded},
    {"rights", has_different_rights},
};

int main(int argc, char** argv) {
    for (unsigned i = 0; argc == 2 && i < sizeof states / sizeof *states; i++)
        if (strcmp(argv[1], states[i].name) == 0)
            return states[i].enter();
    fprintf(stderr, "usage: states STATE\n");
    return 2;
}
