/*
 * The caller is what it was before the call, whether that worked or not: errno, signal mask,
 * mappings to the letter, descriptors, children, SIGCHLD, file locks, memory in use; also when it
 * ignores SIGCHLD, has all its memory locked, or gets signals while it waits.
 */
#include "frozen.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char maps_before[1 << 18], maps_after[1 << 18];
static volatile int children_announced, poked;

static void on_child(int number) {
    (void)number;
    children_announced++;
}

static void on_poke(int number) {
    (void)number;
    poked++;
    errno = EDOM;
}

static void list_descriptors(char *text, size_t size) {
    size_t used = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char name[32], target[PATH_MAX];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(name, target, sizeof target - 1);
        if (length < 0)
            continue;
        used +=
            (size_t)snprintf(text + used, size - used, "%d %.*s %x %lld\n", fd, (int)length, target,
                             (unsigned)fcntl(fd, F_GETFL), (long long)lseek(fd, 0, SEEK_CUR));
    }
}

static int files_beside(void) {
    int count = 0;
    DIR *directory = opendir(beside("."));
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

static long peak_memory(void) {
    return status_number("VmHWM");
}

/* One call, with everything around it compared. In a copy there is nothing to compare. */
static void call(const char *path, int expected) {
    static char descriptors_before[1 << 16], descriptors_after[1 << 16];
    sigset_t mask_before, mask_after;
    struct sigaction action_before, action_after;
    memset(descriptors_before, 0, sizeof descriptors_before);
    memset(descriptors_after, 0, sizeof descriptors_after);
    list_descriptors(descriptors_before, sizeof descriptors_before);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask_before) == 0);
    CHECK(sigaction(SIGCHLD, NULL, &action_before) == 0);
    slurp("/proc/self/maps", maps_before, sizeof maps_before);

    errno = 4242;
    const int outcome = rfork_checkpoint(path);
    const int error = errno;

    slurp("/proc/self/maps", maps_after, sizeof maps_after);
    if (outcome == CHILD)
        _exit(77);
    if (outcome != expected)
        fprintf(stderr, "%d: %s\n", outcome, rfork_strerror_last());
    CHECK(outcome == expected);
    CHECK(outcome == PARENT ? error == 4242 : error != 0);
    CHECK(!strcmp(maps_before, maps_after));
    list_descriptors(descriptors_after, sizeof descriptors_after);
    CHECK(!strcmp(descriptors_before, descriptors_after));
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask_after) == 0);
    CHECK(!memcmp(&mask_before, &mask_after, 8));
    CHECK(sigaction(SIGCHLD, NULL, &action_after) == 0);
    CHECK(action_before.sa_handler == action_after.sa_handler);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    CHECK(children_announced == 0);
}

/* Somebody who sends SIGUSR1 for as long as the pipe is open. */
static pid_t start_poking(pid_t whom) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child > 0)
        return child;
    for (int i = 0; i < 2000; i++) {
        const struct timespec pause = {.tv_nsec = 100000};
        if (kill(whom, SIGUSR1) != 0)
            break;
        nanosleep(&pause, NULL);
    }
    _exit(0);
}

/* Whether a child of ours is kept from locking the file. */
static int is_locked(const char *path) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        const int fd = open(path, O_RDWR);
        _exit(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 1 : 0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    children_announced = 0;
    return WEXITSTATUS(status);
}

int main(void) {
    char image[PATH_MAX], locked[PATH_MAX];
    snprintf(image, sizeof image, "%s", getenv("IMAGE"));
    snprintf(locked, sizeof locked, "%s", beside("locked"));
    CHECK(signal(SIGCHLD, on_child) != SIG_ERR);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);

    list_descriptors(maps_before, sizeof maps_before);
    freeze(); /* the linker binds what the first call needs */
    for (int i = 0; i < 5; i++)
        call(image, PARENT);
    call("/nonexistent/directory/image", -1);
    call(beside("."), -1);
    call("", -1);
    call(NULL, -1);
    CHECK(*rfork_strerror_last());

    /* A lock outlives the freeze, and an attempt at it. */
    const int fd = open(locked, O_RDWR | O_CREAT, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fcntl(fd, F_SETLK, &lock) == 0);
    CHECK(is_locked(locked));
    call("", -1);
    CHECK(is_locked(locked));
    call(image, PARENT);
    CHECK(is_locked(locked));
    CHECK(close(fd) == 0 && !is_locked(locked));

    /* Signals that arrive while the caller waits are handled, and the call goes on. */
    struct sigaction action = {.sa_handler = on_poke}; /* without SA_RESTART */
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        const pid_t poker = start_poking(getpid());
        errno = 4242;
        const struct rfork_options options = {.size = sizeof options,
                                              .flags = RFORK_LEAVE_CHILDREN};
        const int outcome = rfork_checkpoint_with(image, &options);
        if (outcome == CHILD)
            return 77;
        CHECK(outcome == PARENT);
        CHECK(kill(poker, SIGKILL) == 0);
        pid_t ended;
        while ((ended = waitpid(poker, NULL, 0)) < 0 && errno == EINTR) /* its last signal */
            ;
        CHECK(ended == poker);
    }
    CHECK(poked > 0);
    children_announced = 0;

    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    call(image, PARENT);
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);

    /* What librfork works with is not the caller's to pay for, even with all memory locked. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0) {
        const long peak = peak_memory();
        call(image, PARENT);
        if (peak_memory() >= peak + (64 << 10))
            fprintf(stderr, "%ld KiB more memory in use\n", peak_memory() - peak);
        CHECK(peak_memory() < peak + (64 << 10));
        CHECK(munlockall() == 0);
    } else {
        puts("note: memory may not be locked here");
    }

    /* A limit on file sizes and one on address space: an error, or it works; never a signal. */
    struct rlimit old, tight;
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    tight = old;
    tight.rlim_cur = 100000;
    CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    call(image, -1);
    CHECK(errno != ENOTSUP && strlen(rfork_strerror_last()) > 10);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    CHECK(getrlimit(RLIMIT_AS, &old) == 0);
    tight = old;
    tight.rlim_cur = ((rlim_t)status_number("VmSize") << 10) + (40 << 20);
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
    call(image, PARENT);
    CHECK(setrlimit(RLIMIT_AS, &old) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    tight = old;
    tight.rlim_cur = 3; /* no descriptor to spare */
    CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    CHECK(rfork_checkpoint(image) == -1 && errno == EMFILE);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);

    CHECK(unlink(image) == 0 && unlink(locked) == 0 && files_beside() == 0);
    return success();
}
