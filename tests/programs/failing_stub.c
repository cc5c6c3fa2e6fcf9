/*
 * failing_stub PROGRAM - whichever system call of its stub fails, an image either refuses with a
 * sentence or brings back a program that finds all as it was. The calls fail one after the other,
 * each in a start of its own; those that the kernel does not let fail are left alone.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

enum { SECONDS = 20 };
static const char refusal[] = "image: ";

static int cannot_fail(const struct user_regs_struct *registers) {
    static const long calls[] = {SYS_execve,  SYS_exit_group,    SYS_getpid,         SYS_getppid,
                                 SYS_gettid,  SYS_geteuid,       SYS_getegid,        SYS_getpgid,
                                 SYS_umask,   SYS_write,         SYS_rt_sigprocmask, SYS_close,
                                 SYS_madvise, SYS_clock_gettime, SYS_set_tid_address};
    const long call = (long)registers->orig_rax;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i] == call)
            return 1;
    return call == SYS_prctl && registers->rdi == PR_CAPBSET_READ; /* 64 times */
}

/* Lets a started image run up to its next system call, or the end of one; 0: it has ended. */
static int run_on(pid_t image, int *status) {
    for (int number = 0;;) {
        CHECK(ptrace(PTRACE_SYSCALL, image, 0, number) == 0);
        CHECK(waitpid(image, status, 0) == image);
        if (!WIFSTOPPED(*status))
            return 0;
        number = WSTOPSIG(*status);
        if (number == (SIGTRAP | 0x80))
            return 1;
        if (number == SIGTRAP) /* the exec */
            number = 0;
    }
}

/* Makes the system call at whose beginning the image is fail. */
static void let_fail(pid_t image, struct user_regs_struct *registers) {
    int status;
    registers->orig_rax = (unsigned long)-1;
    CHECK(ptrace(PTRACE_SETREGS, image, 0, registers) == 0);
    CHECK(run_on(image, &status) && ptrace(PTRACE_GETREGS, image, 0, registers) == 0);
    registers->rax = (unsigned long)-EIO;
    CHECK(ptrace(PTRACE_SETREGS, image, 0, registers) == 0);
}

/* The call that has failed, or -1 if the stub makes fewer than `count`; what became of the image.
 */
static long fail_call(pid_t image, int count, int *status) {
    struct user_regs_struct registers;
    while (run_on(image, status)) {
        CHECK(ptrace(PTRACE_GETREGS, image, 0, &registers) == 0);
        const long call = (long)registers.orig_rax;
        if (call == SYS_rt_sigreturn) {
            kill(image, SIGKILL);
            waitpid(image, status, 0);
            return -1;
        }
        if (!cannot_fail(&registers) && --count == 0) {
            let_fail(image, &registers);
            CHECK(ptrace(PTRACE_DETACH, image, 0, 0) == 0 && waitpid(image, status, 0) == image);
            return call;
        }
        if (call != SYS_exit_group)
            CHECK(run_on(image, status));
    }
    return -1;
}

static pid_t start_image(int *output) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t image = fork();
    CHECK(image >= 0);
    if (image == 0) {
        char name[] = "image", new_ids[] = "RFORK_PID=new";
        char *const arguments[] = {name, NULL}, *const environment[] = {new_ids, NULL};
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        alarm(SECONDS);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execve(getenv("IMAGE"), arguments, environment);
        _exit(127);
    }
    int status;
    CHECK(close(ends[1]) == 0 && waitpid(image, &status, 0) == image);
    if (!WIFSTOPPED(status)) {
        puts("failing_stub: skipped: ptrace is not permitted");
        exit(77);
    }
    CHECK(ptrace(PTRACE_SETOPTIONS, image, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    *output = ends[0];
    return image;
}

/* Whether there was such a call. */
static int try_call(int count, int *refused, int *wrong) {
    char said[4096] = "";
    int output, status;
    const pid_t image = start_image(&output);
    const long call = fail_call(image, count, &status);
    const ssize_t size = read(output, said, sizeof said - 1);
    close(output);
    if (call < 0)
        return 0;
    const int refuses =
        WIFEXITED(status) && WEXITSTATUS(status) == 125 && !strncmp(said, refusal, strlen(refusal));
    if (!refuses && (status != 0 || size <= 0 || !strstr(said, "EXIT-SUCCESS"))) {
        fprintf(stderr, "EIO from system call %ld: wait status %#x: %s\n", call, (unsigned)status,
                said);
        ++*wrong;
    }
    *refused += refuses;
    return 1;
}

int main(int argc, char **argv) {
    char command[PATH_MAX];
    int count = 1, refused = 0, wrong = 0;
    CHECK(argc == 2);
    snprintf(command, sizeof command, "'%s' | cat >/dev/null", argv[1]);
    CHECK(system(command) == 0 && access(getenv("IMAGE"), X_OK) == 0);
    while (try_call(count, &refused, &wrong))
        count++;
    printf("of %d calls, %d are not done without\n", count - 1, refused);
    CHECK(wrong == 0 && count > 50 && refused > 25);
    return success();
}
