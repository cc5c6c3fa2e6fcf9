/*
 * slowly MILLISECONDS PROGRAM [ARGUMENT...] - runs PROGRAM, which has one process with one thread,
 * as if what it reads came from a slow disk: each pread(2) takes so long.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int status, entry = 0;
    if (argc < 3)
        return 2;
    const useconds_t pause_us = (useconds_t)atoi(argv[1]) * 1000;
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[2], argv + 2);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return 77;
    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (int number = 0;;) {
        ptrace(PTRACE_SYSCALL, child, 0, number);
        if (waitpid(child, &status, 0) != child)
            return 1;
        if (!WIFSTOPPED(status))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        number = WSTOPSIG(status);
        if (number != (SIGTRAP | 0x80)) {
            number = number == SIGTRAP ? 0 : number;
            continue;
        }
        number = 0;
        entry = !entry;
        struct user_regs_struct registers;
        if (entry && ptrace(PTRACE_GETREGS, child, 0, &registers) == 0 &&
            registers.orig_rax == SYS_pread64)
            usleep(pause_us);
    }
}
