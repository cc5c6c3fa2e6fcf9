/*
 * Files to which no name leads any more: what is in them is in the image.
 *
 *   deleted_files       freezes itself
 *   deleted_files wait  waits to be frozen, and until there is a file "go"
 */
#include "frozen.h"

#include <sys/mman.h>
#include <sys/stat.h>

enum { HEAD = 300001, HOLE_ENDS = 9 << 20, TAIL = 5000, MODIFIED = 1234567890 };

static unsigned char head[HEAD], tail[TAIL];
static int file, duplicate, reader, appender; /* one file, three open files */
static int tmpfile_, locked_up, write_only, replaced, gone, empty, memory;

static void put_at(int fd, const void *bytes, size_t size, off_t at) {
    CHECK(pwrite(fd, bytes, size, at) == (ssize_t)size);
}

static void has_at(int fd, const void *bytes, size_t size, off_t at) {
    static unsigned char found[HEAD];
    CHECK(pread(fd, found, size, at) == (ssize_t)size && memcmp(found, bytes, size) == 0);
}

static void is_deleted(int fd, mode_t mode, off_t size) {
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
    CHECK(st.st_nlink == 0 && (st.st_mode & 07777) == mode && st.st_size == size);
}

static int open_deleted(const char *name, int flags, mode_t mode) {
    const int fd = open(beside(name), flags | O_CREAT | O_EXCL, mode);
    CHECK(fd >= 0 && unlink(beside(name)) == 0);
    return fd;
}

static void build(void) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {MODIFIED, 5000}};
    char path[PATH_MAX];
    fill(head, HEAD, 1);
    fill(tail, TAIL, 2);
    umask(0);

    snprintf(path, sizeof path, "%s", beside("several"));
    CHECK((file = open(path, O_RDWR | O_CREAT | O_EXCL, 0640)) >= 0);
    CHECK((duplicate = dup(file)) >= 0 && (reader = open(path, O_RDONLY)) >= 0);
    CHECK((appender = open(path, O_WRONLY | O_APPEND)) >= 0 && unlink(path) == 0);
    put_at(file, head, HEAD, 0);
    put_at(file, tail, TAIL, HOLE_ENDS);
    CHECK(lseek(file, 1234, SEEK_SET) == 1234 && lseek(reader, 77, SEEK_SET) == 77);
    CHECK(futimens(file, times) == 0);

    CHECK((tmpfile_ = open(beside("."), O_RDWR | O_TMPFILE | O_EXCL, 0600)) >= 0);
    put_at(tmpfile_, "temporary", 9, 0);
    locked_up = open_deleted("locked up", O_RDWR, 0);
    put_at(locked_up, "locked up", 9, 0);
    write_only = open_deleted("write only", O_WRONLY, 0600);
    CHECK(write(write_only, "written", 7) == 7);
    empty = open_deleted("empty", O_RDWR, 0604);

    CHECK(close(open(beside("other"), O_WRONLY | O_CREAT, 0600)) == 0);
    snprintf(path, sizeof path, "%s", beside("other"));
    CHECK((replaced = open(beside("replaced"), O_RDWR | O_CREAT, 0600)) >= 0);
    put_at(replaced, "as it was", 9, 0);
    CHECK(close(replaced) == 0 && (replaced = open(beside("replaced"), O_RDONLY)) >= 0);
    CHECK(rename(path, beside("replaced")) == 0);

    CHECK(mkdir(beside("directory"), 0700) == 0);
    gone = open_deleted("directory/gone", O_RDWR, 0600);
    put_at(gone, "gone", 4, 0);
    CHECK(rmdir(beside("directory")) == 0);

    CHECK((memory = memfd_create("some name", MFD_ALLOW_SEALING)) >= 0);
    put_at(memory, tail, TAIL, 8192);
    CHECK(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
}

static void verify_several(void) {
    static const char zeroes[8192];
    struct stat st;
    char byte;
    is_deleted(file, 0640, HOLE_ENDS + TAIL);
    CHECK(fstat(file, &st) == 0 && st.st_mtim.tv_sec == MODIFIED && st.st_mtim.tv_nsec == 5000);
    CHECK(st.st_blocks < HOLE_ENDS / 512 / 2);
    has_at(file, head, HEAD, 0);
    has_at(file, zeroes, sizeof zeroes, HOLE_ENDS - (off_t)sizeof zeroes);
    has_at(reader, tail, TAIL, HOLE_ENDS);
    CHECK(read(duplicate, &byte, 1) == 1 && lseek(file, 0, SEEK_CUR) == 1235);
    CHECK(lseek(reader, 0, SEEK_CUR) == 77);
    CHECK(write(reader, "x", 1) == -1 && read(appender, &byte, 1) == -1);
    CHECK(write(appender, "appended", 8) == 8);
    has_at(file, "appended", 8, HOLE_ENDS + TAIL);
    has_at(reader, "appended", 8, HOLE_ENDS + TAIL);
    CHECK(ftruncate(file, HOLE_ENDS + TAIL) == 0 && lseek(file, 1234, SEEK_SET) == 1234);
}

static void verify(void) {
    struct stat st;
    char text[PATH_MAX], link[32];
    verify_several();
    is_deleted(tmpfile_, 0600, 9);
    has_at(tmpfile_, "temporary", 9, 0);
    is_deleted(locked_up, 0, 9);
    has_at(locked_up, "locked up", 9, 0);
    put_at(locked_up, "L", 1, 0);
    put_at(locked_up, "l", 1, 0);
    is_deleted(write_only, 0600, 7);
    CHECK(lseek(write_only, 0, SEEK_CUR) == 7 && read(write_only, text, 1) == -1);
    is_deleted(empty, 0604, 0);
    has_at(replaced, "as it was", 9, 0);
    CHECK(fstat(replaced, &st) == 0 && st.st_nlink == 0 && write(replaced, "x", 1) == -1);
    is_deleted(gone, 0600, 4);
    has_at(gone, "gone", 4, 0);
    is_deleted(memory, 0777, 8192 + TAIL);
    has_at(memory, tail, TAIL, 8192);
    CHECK((fcntl(memory, F_GET_SEALS) & 15) == (F_SEAL_SHRINK | F_SEAL_GROW));
    snprintf(link, sizeof link, "/proc/self/fd/%d", memory);
    CHECK(readlink(link, text, sizeof text) > 17 && !memcmp(text, "/memfd:some name ", 17));
}

int main(int argc, char **argv) {
    build();
    if (argc == 2 && !strcmp(argv[1], "wait")) {
        CHECK(puts("ready") >= 0 && fflush(stdout) == 0);
        while (access(beside("go"), F_OK) != 0)
            usleep(2000);
    } else {
        freeze();
    }
    verify();
    return success();
}
