/*
 * Descriptors: offsets, offsets shared by dup(2) and not by a second open(2), access modes,
 * O_APPEND, O_NONBLOCK, close-on-exec, numbers, directories half read, devices without state; a
 * closed standard input stays closed, and nothing else is open (`run` starts the image with more).
 */
#include "frozen.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { FILES = 300, SIZE = 100000 };

static unsigned char content[SIZE];
static unsigned char seen[FILES];

static int open_at(int number, const char *path, int flags) {
    const int fd = open(path, flags, 0600);
    CHECK(fd >= 0);
    if (fd != number) {
        CHECK(dup3(fd, number, flags & O_CLOEXEC) == number);
        close(fd);
    }
    return number;
}

static off_t offset(int fd) {
    return lseek(fd, 0, SEEK_CUR);
}

/* One portion of a directory; returns 0 at its end. */
static int read_directory(int fd) {
    char buffer[1024];
    const long got = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    CHECK(got >= 0);
    for (long at = 0; at < got;) {
        const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
        if (entry->d_name[0] != '.') {
            CHECK(!seen[atoi(entry->d_name)]);
            seen[atoi(entry->d_name)] = 1;
        }
        at += entry->d_reclen;
    }
    return got > 0;
}

/* Numbers of open descriptors as a bit mask, with 63 for all of 63 and more but 200. */
static uint64_t open_numbers(void) {
    uint64_t numbers = 0;
    for (int fd = 0; fd < 1024; fd++)
        if (fd != 200 && fcntl(fd, F_GETFD) >= 0)
            numbers |= (uint64_t)1 << (fd < 63 ? fd : 63);
    return numbers;
}

int main(void) {
    char path[PATH_MAX], log[PATH_MAX], directory[PATH_MAX];
    snprintf(path, sizeof path, "%s", beside("a file with blanks"));
    snprintf(log, sizeof log, "%s", beside("log"));
    snprintf(directory, sizeof directory, "%s", beside("many files"));
    CHECK(mkdir(directory, 0700) == 0);
    for (int i = 0; i < FILES; i++) {
        char name[PATH_MAX + 16];
        snprintf(name, sizeof name, "%s/%d", directory, i);
        const int fd = open(name, O_WRONLY | O_CREAT, 0600);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    fill(content, SIZE, 1);
    const int whole = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(whole >= 0 && write(whole, content, SIZE) == SIZE && close(whole) == 0);

    CHECK(close(0) == 0);
    const int reads = open_at(5, path, O_RDONLY);
    const int shares = dup2(reads, 200), alone = open_at(7, path, O_RDONLY | O_CLOEXEC);
    const int writes = open_at(8, path, O_WRONLY), both = open_at(9, path, O_RDWR | O_NONBLOCK);
    const int appends = open_at(10, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
    const int many = open_at(11, directory, O_RDONLY | O_DIRECTORY);
    const int many_again = open_at(12, directory, O_RDONLY | O_DIRECTORY);
    const int null = open_at(13, "/dev/null", O_RDWR), zero = open_at(14, "/dev/zero", O_RDONLY);
    const int random = open_at(15, "/dev/urandom", O_RDONLY);
    const int only_path = open_at(16, path, O_PATH);
    const int closes_alone =
        fcntl(reads, F_DUPFD_CLOEXEC, 17);              /* shares, but its flag is its own */
    const int same_place = open_at(18, path, O_RDONLY); /* the offset of 5, but not shared */
    CHECK(shares == 200 && closes_alone == 17);
    CHECK(lseek(reads, 12345, SEEK_SET) == 12345 && lseek(same_place, 12345, SEEK_SET) == 12345);
    CHECK(lseek(alone, 500, SEEK_SET) == 500);
    CHECK(lseek(both, SIZE + 77, SEEK_SET) == SIZE + 77); /* behind the end */
    CHECK(write(writes, content, 100) == 100);
    CHECK(read_directory(many) && read_directory(many) && read_directory(many));
    CHECK(write(appends, "first\n", 6) == 6);
    const uint64_t numbers = open_numbers();

    freeze();

    CHECK(fcntl(0, F_GETFD) == -1 && errno == EBADF);
    CHECK(open_numbers() == numbers);

    CHECK(offset(reads) == 12345 && offset(shares) == 12345 && offset(closes_alone) == 12345);
    unsigned char bytes[1000];
    CHECK(read(shares, bytes, 1000) == 1000 && !memcmp(bytes, content + 12345, 1000));
    CHECK(offset(reads) == 13345 && offset(closes_alone) == 13345);
    CHECK(offset(same_place) == 12345 && offset(alone) == 500);
    CHECK(fcntl(reads, F_GETFD) == 0 && fcntl(shares, F_GETFD) == 0);
    CHECK(fcntl(alone, F_GETFD) == FD_CLOEXEC && fcntl(closes_alone, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(appends, F_GETFD) == FD_CLOEXEC);

    CHECK(offset(writes) == 100 && write(reads, "x", 1) == -1 && errno == EBADF);
    CHECK(read(writes, bytes, 1) == -1 && errno == EBADF);
    CHECK(write(writes, content + 100, 100) == 100);
    CHECK(offset(both) == SIZE + 77 && read(both, bytes, 1) == 0);
    CHECK((fcntl(both, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
    CHECK(fcntl(only_path, F_GETFL) & O_PATH);
    CHECK(read(only_path, bytes, 1) == -1 && errno == EBADF);

    CHECK(fcntl(appends, F_GETFL) & O_APPEND);
    char line[40], found[40] = "";
    const int length = snprintf(line, sizeof line, "line of %d\n", (int)getpid());
    CHECK(write(appends, line, (size_t)length) == length);
    const int reader = open(log, O_RDONLY);
    CHECK(reader == 0); /* the lowest free number */
    CHECK(pread(reader, found, (size_t)length, offset(appends) - length) == length);
    CHECK(!strcmp(line, found) && close(reader) == 0);

    while (read_directory(many)) {
    }
    for (int i = 0; i < FILES; i++)
        CHECK(seen[i]);
    memset(seen, 0, sizeof seen);
    CHECK(read_directory(many_again));

    CHECK(write(null, "x", 1) == 1 && read(null, bytes, 1) == 0);
    CHECK(read(zero, bytes, 10) == 10 && is_zero(bytes, 10));
    CHECK(read(random, bytes, 100) == 100 && !is_zero(bytes, 100));
    return success();
}
