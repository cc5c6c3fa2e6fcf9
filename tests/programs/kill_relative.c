/*
 * kill_relative - kills the second of the processes that IMAGE holds before each of the system
 * calls that it makes on its way, each in a start of its own. Whenever it is, the image refuses
 * with one sentence, and nobody of the family runs.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

enum { SECONDS = 20, MOST = 64, READY_SIZE = 768 };
enum { SECOND = 3 }; /* of all tasks: before it come the executed one, its helper, and the first */

struct trial {
    pid_t tasks[MOST];
    int known;
    pid_t image;
    int count; /* of its system calls, before the one that it is killed at */
    int inside, words, ready, status;
};

static void kill_all(struct trial *trial) {
    for (int i = 0; i < trial->known; i++)
        kill(trial->tasks[i], SIGKILL);
}

static void remember(struct trial *trial, pid_t task) {
    for (int i = 0; i < trial->known; i++)
        if (trial->tasks[i] == task)
            return;
    CHECK(trial->known < MOST);
    trial->tasks[trial->known++] = task;
}

/* It says that it is there, and then that it is ready; nothing is left then that could go wrong. */
static void at_call_of_target(struct trial *trial) {
    struct user_regs_struct registers;
    trial->inside = !trial->inside;
    if (!trial->inside || ptrace(PTRACE_GETREGS, trial->tasks[SECOND], 0, &registers) != 0)
        return;
    if (registers.orig_rax == SYS_write && registers.rdx == READY_SIZE)
        trial->words++;
    trial->ready = trial->words == 2;
    if (trial->ready)
        kill_all(trial);
    else if (trial->count-- == 0)
        kill(trial->tasks[SECOND], SIGKILL);
}

static void follow(struct trial *trial) {
    int status;
    pid_t task;
    while ((task = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status)) {
            if (task == trial->image)
                trial->status = status;
            continue;
        }
        remember(trial, task);
        int number = WSTOPSIG(status);
        if (number == (SIGTRAP | 0x80) && trial->known > SECOND && task == trial->tasks[SECOND])
            at_call_of_target(trial);
        if (number == (SIGTRAP | 0x80) || number == SIGTRAP || number == SIGSTOP)
            number = 0;
        ptrace(PTRACE_SYSCALL, task, 0, number);
    }
}

static void start(struct trial *trial, int output) {
    trial->image = fork();
    CHECK(trial->image >= 0);
    if (trial->image == 0) {
        char name[] = "image", trust[] = "RFORK_FILES=trust";
        char *const arguments[] = {name, NULL}, *const environment[] = {trust, NULL};
        dup2(output, 1);
        dup2(output, 2);
        alarm(SECONDS);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execve(getenv("IMAGE"), arguments, environment);
        _exit(127);
    }
    int status;
    CHECK(waitpid(trial->image, &status, 0) == trial->image);
    if (!WIFSTOPPED(status)) {
        puts("kill_relative: skipped: ptrace is not permitted");
        exit(77);
    }
    const int options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK |
                        PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    CHECK(ptrace(PTRACE_SETOPTIONS, trial->image, 0, options) == 0);
    CHECK(ptrace(PTRACE_SYSCALL, trial->image, 0, 0) == 0);
}

/* Whether it was killed before it was ready. */
static int try_call(int count) {
    char said[4096] = "";
    int ends[2];
    struct trial trial = {.count = count};
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    start(&trial, ends[1]);
    close(ends[1]);
    follow(&trial);
    const ssize_t size = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    if (trial.ready)
        return 0;
    if (!WIFEXITED(trial.status) || WEXITSTATUS(trial.status) != 125 || size <= 0 ||
        strncmp(said, "image: ", 7) != 0 || strchr(said, '\n') != said + size - 1) {
        fprintf(stderr, "killed before call %d: wait status %#x: %s\n", count,
                (unsigned)trial.status, said);
        exit(1);
    }
    return 1;
}

int main(void) {
    int count = 0;
    while (try_call(count))
        count++;
    printf("killed at each of %d calls\n", count);
    CHECK(count > 50);
    return success();
}
