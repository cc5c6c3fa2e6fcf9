/*
 * migrate [--delay MS] COMMAND... - runs COMMAND, and lets each write(2) of a page or more, by it or
 * its descendants, end on another CPU than it began, MS milliseconds later.
 *
 * So whoever writes an image is moved after each piece of it, which is when the kernel writes into
 * memory that was registered for it (rseq(2)): between the storing of a page and the hashing of it,
 * or the other way round.
 *
 * Ends with COMMAND's status, and passes SIGTERM on to it; 77 if there is only one CPU.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

static pid_t command;

static void pass_on(int number) {
    kill(command, number);
}

__attribute__((noreturn)) static void skip(const char *why) {
    fprintf(stderr, "migrate: skipped: %s: %s\n", why, strerror(errno));
    exit(77);
}

/* From here on such a write of this process, or of its children, waits for word from us. */
static int watch_writers(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PAGE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

static int two_cpus(int cpus[2]) {
    cpu_set_t allowed;
    int count = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            cpus[count++] = cpu;
    return count == 2;
}

/* It wakes up there, and has the number of the old one in its memory until it leaves the kernel. */
static void move(pid_t writer, int cpu) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    sched_setaffinity(writer, sizeof only, &only);
}

int main(int argc, char **argv) {
    int cpus[2], status, turn = 0, delay_us = 0;
    argv++;
    if (argc > 2 && !strcmp(argv[0], "--delay")) {
        delay_us = atoi(argv[1]) * 1000;
        argv += 2;
    }
    if (!*argv)
        return 2;
    if (!two_cpus(cpus))
        skip("there is only one CPU");
    const int listener = watch_writers();
    if (listener < 0)
        skip("cannot watch system calls (SECCOMP_FILTER_FLAG_NEW_LISTENER)");

    signal(SIGTERM, pass_on);
    command = fork();
    if (command == 0) {
        signal(SIGTERM, SIG_DFL);
        close(listener);
        execvp(*argv, argv);
        perror(*argv);
        _exit(127);
    }
    const int ended = (int)syscall(SYS_pidfd_open, command, 0);
    if (command < 0 || ended < 0)
        skip("cannot start the command");
    struct pollfd events[] = {{listener, POLLIN, 0}, {ended, POLLIN, 0}};
    while (!(events[1].revents & POLLIN)) {
        if (poll(events, 2, -1) < 0 || !(events[0].revents & POLLIN))
            continue;
        struct seccomp_notif call;
        memset(&call, 0, sizeof call);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
            continue;
        if (delay_us)
            usleep((useconds_t)delay_us);
        move((pid_t)call.pid, cpus[turn ^= 1]);
        struct seccomp_notif_resp answer = {call.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    if (waitpid(command, &status, 0) != command)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
