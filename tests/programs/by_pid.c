/* A scheduler: freezes, moves and restarts programs that know nothing of rfork, by the calls that
 * take a pid; sees no child and no SIGCHLD but its own. */
#include "frozen.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

static atomic_int deaths;

static void count(int signal) {
    (void)signal;
    deaths++;
}

static const char counting[] = "i=0; while [ $i -lt 200000 ]; do echo $i; i=$((i+1)); done; exit 3";

static pid_t start(const char *output) {
    unlink(output);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const int null = open("/dev/null", O_RDWR);
        const int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (dup2(null, 0) != 0 || dup2(file, 1) != 1 || dup2(null, 2) != 2)
            _exit(99);
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        execlp("dash", "dash", "-c", counting, (char *)NULL);
        _exit(99);
    }
    struct stat st;
    do
        CHECK(waitpid(child, NULL, WNOHANG) == 0);
    while (stat(output, &st) != 0 || st.st_size < 4096);
    return child;
}

static int status_of(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static void verify(const char *output) {
    FILE *file = fopen(output, "r");
    CHECK(file);
    for (int i = 0; i < 200000; i++) {
        int number;
        CHECK(fscanf(file, "%d\n", &number) == 1 && number == i);
    }
    CHECK(fgetc(file) == EOF && fclose(file) == 0);
}

static int image(const char *path) {
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    CHECK(fd >= 0);
    return fd;
}

static int run(const char *path, unsigned flags, int *status) {
    struct rfork_options options = RFORK_OPTIONS_INIT;
    options.flags = flags;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        rfork_restart(path, &options);
        fprintf(stderr, "%s\n", rfork_strerror_last());
        _exit(98);
    }
    if (flags & RFORK_STOP) {
        CHECK(waitpid(child, status, WUNTRACED) == child && WIFSTOPPED(*status));
        CHECK(kill(child, SIGCONT) == 0);
    }
    return status_of(child);
}

int main(void) {
    struct rfork_options options = RFORK_OPTIONS_INIT;
    int status;
    if (signal(SIGCHLD, count) == SIG_ERR || system("command -v dash >/dev/null") != 0)
        return 77;
    deaths = 0;

    /* It goes on, and so does its image, which cuts off what the original has written since. */
    int fd = image("image");
    pid_t child = start("output");
    errno = EXDEV;
    if (rfork_checkpoint_pid(child, fd, NULL) != 0)
        fprintf(stderr, "%s\n", rfork_strerror_last());
    CHECK(errno == EXDEV && deaths == 0);
    CHECK(close(fd) == 0);
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3 && deaths == 1);
    verify("output");
    status = run("./image", RFORK_ROLLBACK, &status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    verify("output");

    /* It is ended. */
    options.flags = RFORK_END;
    fd = image("image");
    child = start("output");
    CHECK(rfork_checkpoint_pid(child, fd, &options) == 0 && close(fd) == 0);
    status = status_of(child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = run("./image", 0, &status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    verify("output");

    /* It is stopped. */
    options.flags = RFORK_STOP;
    fd = image("image");
    child = start("output");
    CHECK(rfork_checkpoint_pid(child, fd, &options) == 0 && close(fd) == 0);
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    CHECK(kill(child, SIGCONT) == 0);
    status = status_of(child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    verify("output");

    /* What goes wrong has its number and its sentence. */
    errno = 0;
    CHECK(rfork_checkpoint_pid(1, 2, NULL) == -1 && errno == ENOTSUP);
    CHECK(strstr(rfork_strerror_last(), "first process"));
    CHECK(rfork_checkpoint_pid(0x3ffffff, 2, NULL) == -1 && errno == ESRCH);
    CHECK(rfork_checkpoint_pid(getpid(), 2, NULL) == -1 && errno == EINVAL);
    CHECK(rfork_checkpoint_pid(1, 1023, NULL) == -1 && errno == EBADF);
    options.flags = RFORK_BACKGROUND;
    CHECK(rfork_checkpoint_pid(1, 2, &options) == -1 && errno == EINVAL);
    CHECK(rfork_migrate_pid(1, NULL, NULL) == -1 && errno == EINVAL);
    unsetenv("RFORK_SPOOL");
    CHECK(rfork_migrate_pid(getppid(), "nowhere.invalid", NULL) == -1 && errno != 0);
    CHECK(rfork_restart("./no-such-image", NULL) == -1 && errno == ENOENT);
    CHECK(strstr(rfork_strerror_last(), "./no-such-image"));
    setenv("RFORK_TOOL", "./no-such-tool", 1);
    CHECK(rfork_checkpoint_pid(getppid(), 2, NULL) == -1 && errno == ENOENT);
    CHECK(wait(&status) == -1 && errno == ECHILD);
    puts("EXIT-SUCCESS");
    return 0;
}
