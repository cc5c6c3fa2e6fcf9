/*
 * Locks on files: of flock(2), of the process, and of open files. Who asks whether they are held is
 * a child, which is another process with open files of its own.
 *
 *   file_locks          freezes itself
 *   file_locks wait     waits to be frozen, and until there is a file "go"
 */
#include "frozen.h"

#include <sys/file.h>

enum { NOT_LOCKED = 0, SHARED = 1, EXCLUSIVE = 2 };

static char whole[PATH_MAX], ranges[PATH_MAX], of_open_file[PATH_MAX];

/* Of a range, by somebody else. */
static int range_is(const char *path, int command, off_t start, off_t size, pid_t holder) {
    const int fd = open(path, O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
    CHECK(fd >= 0 && fcntl(fd, command, &lock) == 0);
    close(fd);
    if (lock.l_type != F_UNLCK)
        CHECK(lock.l_pid == holder);
    return lock.l_type == F_UNLCK ? NOT_LOCKED : lock.l_type == F_RDLCK ? SHARED : EXCLUSIVE;
}

static int whole_is(const char *path) {
    const int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    const int shared = flock(fd, LOCK_SH | LOCK_NB), exclusive = flock(fd, LOCK_EX | LOCK_NB);
    close(fd);
    return shared != 0 ? EXCLUSIVE : exclusive != 0 ? SHARED : NOT_LOCKED;
}

static void look(pid_t holder) {
    CHECK(whole_is(whole) == EXCLUSIVE && whole_is(ranges) == SHARED);
    CHECK(range_is(ranges, F_GETLK, 0, 10, holder) == NOT_LOCKED);
    CHECK(range_is(ranges, F_GETLK, 10, 10, holder) == EXCLUSIVE);
    CHECK(range_is(ranges, F_GETLK, 20, 80, holder) == NOT_LOCKED);
    CHECK(range_is(ranges, F_GETLK, 100, 1, holder) == SHARED);
    CHECK(range_is(ranges, F_GETLK, 101, 799, holder) == NOT_LOCKED);
    CHECK(range_is(whole, F_GETLK, 1000, 1, holder) == EXCLUSIVE);
    CHECK(range_is(of_open_file, F_OFD_GETLK, 0, 5, -1) == SHARED);
    CHECK(range_is(of_open_file, F_OFD_GETLK, 5, 0, -1) == EXCLUSIVE);
}

static void look_after_release(void) {
    CHECK(whole_is(whole) == NOT_LOCKED);
    CHECK(range_is(whole, F_GETLK, 0, 0, 0) == NOT_LOCKED);
    CHECK(range_is(ranges, F_GETLK, 0, 900, 0) == NOT_LOCKED);
    CHECK(range_is(of_open_file, F_OFD_GETLK, 0, 0, 0) == NOT_LOCKED);
}

static void verify(int released) {
    const pid_t child = fork();
    int status = 0;
    if (child == 0) {
        if (released)
            look_after_release();
        else
            look(getppid());
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void lock_range(int fd, int command, short type, off_t start, off_t size) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size};
    CHECK(fcntl(fd, command, &lock) == 0);
}

static int open_file(char *path, const char *name) {
    snprintf(path, PATH_MAX, "%s", beside(name));
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    return fd;
}

int main(int argc, char **argv) {
    const int wait = argc == 2 && !strcmp(argv[1], "wait");
    const int one = open_file(whole, "whole"), other = open_file(ranges, "ranges");
    const int third = open_file(of_open_file, "of open file");
    const int duplicate = dup(one), again = open(of_open_file, O_RDWR);
    CHECK(duplicate >= 0 && again >= 0);

    CHECK(flock(one, LOCK_EX | LOCK_NB) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
    lock_range(other, F_SETLK, F_WRLCK, 10, 10);
    lock_range(other, F_SETLK, F_RDLCK, 100, 1);
    lock_range(duplicate, F_SETLK, F_WRLCK, 1000, 0);
    lock_range(third, F_OFD_SETLK, F_RDLCK, 0, 5);
    lock_range(again, F_OFD_SETLK, F_WRLCK, 5, 0);
    /* Without a name, and locked by its two ends. */
    int ends[2];
    CHECK(pipe(ends) == 0 && flock(ends[0], LOCK_SH | LOCK_NB) == 0 &&
          flock(ends[1], LOCK_SH | LOCK_NB) == 0);
    verify(0);

    int copy = 1;
    if (wait) {
        CHECK(puts("ready") >= 0 && fflush(stdout) == 0);
        while (access(beside("go"), F_OK) != 0)
            usleep(2000);
    } else {
        copy = freeze() == CHILD;
    }

    verify(0);
    CHECK(flock(ends[1], LOCK_EX | LOCK_NB) == -1 && flock(ends[0], LOCK_UN) == 0 &&
          flock(ends[1], LOCK_EX | LOCK_NB) == 0);
    if (!copy) /* As long as this goes on, no copy has the locks. */
        while (access(beside("end"), F_OK) != 0)
            usleep(2000);
    CHECK(close(one) == 0 && flock(duplicate, LOCK_UN) == 0); /* one open file */
    lock_range(other, F_SETLK, F_UNLCK, 0, 0);
    CHECK(flock(other, LOCK_UN) == 0 && close(third) == 0 && close(again) == 0);
    verify(1);
    return success();
}
