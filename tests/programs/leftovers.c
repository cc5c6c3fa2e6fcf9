/*
 * leftovers nameless|named - what a checkpoint leaves that was killed, or that a limit stops.
 *
 * Where there are files without a name, nothing; where there are none (`named`: open(2) says so), a
 * file that the next checkpoint in that directory removes, but none that somebody still writes.
 */
#include "frozen.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { SIZE = 32 << 20 };

static char left[NAME_MAX + 1];
static int held = -1;

/* Whether there is a temporary file but `mine`; in `left`. */
static int is_left(const char *mine) {
    DIR *directory = opendir(".");
    struct dirent *entry;
    CHECK(directory);
    left[0] = '\0';
    while ((entry = readdir(directory)))
        if (!strncmp(entry->d_name, ".rfork.", 7) && (!mine || strcmp(entry->d_name, mine) != 0))
            snprintf(left, sizeof left, "%s", entry->d_name);
    closedir(directory);
    return left[0] != 0;
}

static void without_nameless_files(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Checkpoints itself once, or again and again. */
static pid_t start(const char *image, int forever) {
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    unsigned char *memory = malloc(SIZE);
    CHECK(memory && close(held) == 0);
    fill(memory, SIZE, 1);
    do
        freeze_into(image);
    while (forever && intact(memory, SIZE, 1));
    _exit(0);
}

static int eventually(int (*what)(const char *), const char *argument, int wanted) {
    const time_t deadline = time(NULL) + 20;
    while (what(argument) != wanted) {
        if (time(NULL) > deadline)
            return 0;
        usleep(1000);
    }
    return 1;
}

static int is_unlocked(const char *name) {
    struct flock whole = {.l_type = F_WRLCK};
    const int fd = open(name, O_RDWR | O_CLOEXEC);
    const int locked = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    close(fd);
    return !locked;
}

static void make_old(const char *name) {
    const struct timespec times[2] = {{time(NULL) - 300, 0}, {time(NULL) - 300, 0}};
    CHECK(utimensat(AT_FDCWD, name, times, 0) == 0);
}

static void limits(const char *image) {
    struct rlimit before, small = {64 << 10, 0};
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    for (small.rlim_cur = 512; small.rlim_cur < 1 << 20; small.rlim_cur *= 16) {
        small.rlim_max = before.rlim_max;
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        CHECK(rfork_checkpoint(image) == -1 && errno == EFBIG);
        CHECK(strstr(rfork_strerror_last(), "ulimit -f"));
        CHECK(!is_left(NULL) && access(image, F_OK) != 0);
    }
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
}

/* A call that fails for want of memory says so, and is not the end of the program. */
static void without_memory(void) {
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0, 0};
        CHECK(setrlimit(RLIMIT_AS, &none) == 0);
        for (size_t size = 1 << 20; size >= 8; size /= 2)
            while (malloc(size)) {
            }
        for (int i = 0; i < 1000; i++) {
            rfork_report("no such host: ", "a message");
            rfork_report("127.0.0.1:9", "a message");
            CHECK(rfork_checkpoint("image") == -1 && errno == ENOMEM);
        }
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv) {
    static const char mine[] = ".rfork.0123456789abcdef0123456789abcdef.tmp";
    const int named = argc > 1 && !strcmp(argv[1], "named");
    const char *image = getenv("IMAGE");
    int status;
    limits(image);
    without_memory();
    if (named)
        without_nameless_files();

    struct flock whole = {.l_type = F_WRLCK};
    held = open(mine, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(held >= 0 && fcntl(held, F_OFD_SETLK, &whole) == 0);
    make_old(mine);

    for (int trial = 0; trial < 3; trial++) {
        const pid_t pid = start(image, 1);
        while (access(image, F_OK) != 0)
            usleep(1000);
        if (named)
            CHECK(eventually(is_left, mine, 1));
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
        CHECK(unlink(image) == 0);
        if (!named) {
            CHECK(!is_left(mine));
            continue;
        }
        if (!is_left(mine))
            continue;
        CHECK(eventually(is_unlocked, left, 1));
        make_old(left);
        const pid_t next = start(image, 0);
        CHECK(waitpid(next, &status, 0) == next && status == 0);
        CHECK(!is_left(mine) && unlink(image) == 0);
    }
    CHECK(unlink(mine) == 0);
    return success();
}
