/*
 * RFORK_IGNORE: what is on the list does not stand in the way, and is /dev/null in the copy; what
 * was there when the program started is told apart from what the program has opened.
 */
#include "frozen.h"

#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void put(int fd, int number) {
    CHECK(fd >= 0 && dup2(fd, number) == number);
    if (fd != number)
        CHECK(close(fd) == 0);
}

static void open_leased(int number) {
    put(open(beside("leased"), O_RDONLY | O_CREAT, 0600), number);
    CHECK(fcntl(number, F_SETLEASE, F_RDLCK) == 0);
}

static void open_sockets(int one, int other) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    put(ends[1], other);
    put(ends[0], one);
}

/* As a file server and an editor would start it. */
static void start_again(const char *program) {
    char *const arguments[] = {(char *)program, (char *)"started", NULL};
    open_leased(30);
    open_sockets(40, 41);
    execv(program, arguments);
    CHECK(!"executed");
}

static const char *refusal(const char *ignore) {
    CHECK(setenv("RFORK_IGNORE", ignore, 1) == 0);
    CHECK(rfork_checkpoint(getenv("IMAGE")) == -1);
    return rfork_strerror_last();
}

static int says(const char *sentence, const char *words) {
    if (!strstr(sentence, words))
        fprintf(stderr, "expected \"%s\": %s\n", words, sentence);
    return strstr(sentence, words) != NULL;
}

static int is_null(int fd, int access, int close_on_exec) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) &&
           (fcntl(fd, F_GETFL) & O_ACCMODE) == access && fcntl(fd, F_GETFD) == close_on_exec;
}

static int is_socket(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Started with root's rights, by somebody who is not root, and who says what may be lost. */
static int secure(void) {
    const uid_t user = getuid();
    if (!getauxval(AT_SECURE))
        return 77;
    CHECK(setresuid(user, user, user) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
    open_sockets(40, 41);
    CHECK(says(refusal("socket"), "descriptor 40 "));
    return success();
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "secure"))
        return secure();
    if (argc < 2)
        start_again(argv[0]);
    struct stat st;
    CHECK(fcntl(30, F_GETLEASE) == F_RDLCK && is_socket(40) && is_socket(41));

    /* Whose it is decides what the user is told to do. */
    CHECK(says(refusal(""), "they were there when the program started"));
    CHECK(says(refusal(""), "30>&- 40>&- 41>&-, or set RFORK_IGNORE=lock,40,41 to go on without"));
    open_sockets(42, 43);
    CHECK(says(refusal(""), "close 42, 43 before the call; 30, 40, 41 were there when"));
    CHECK(says(refusal("inherited"), "close them before the call, or set RFORK_IGNORE=42,43"));
    CHECK(says(refusal("socket"), "descriptor 30 ") && !strstr(refusal("socket"), "descriptor 4"));
    CHECK(says(refusal("lock"), "descriptor 40 ") && !strstr(refusal("lock"), "descriptor 30"));
    CHECK(says(refusal("socket,nonsense"), "'nonsense'") && errno == EINVAL);

    /* Its number is not enough: this is another file. */
    const int held = fcntl(41, F_DUPFD, 100);
    CHECK(held == 100 && close(40) == 0 && close(41) == 0);
    open_sockets(40, 41);
    CHECK(says(refusal("inherited"), "descriptor 40 ") && close(100) == 0);

    /* A lock or a lease alone is left behind, and its file stays; so does what can be carried in any
     * case. */
    put(open(beside("kept"), O_RDWR | O_CREAT, 0600), 44);
    CHECK(write(44, "kept", 4) == 4 && flock(44, LOCK_EX) == 0);
    put(dup(44), 45);
    CHECK(fcntl(42, F_SETFD, FD_CLOEXEC) == 0 && fcntl(43, F_SETFL, O_NONBLOCK) == 0);
    const int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, 42, &event) == 0);
    CHECK(setenv("RFORK_IGNORE", " socket, lock,45,deleted ", 1) == 0);

    const int copy = freeze() == CHILD;

    for (int fd = 40; fd <= 43; fd++)
        CHECK(copy ? is_null(fd, O_RDWR, fd == 42 ? FD_CLOEXEC : 0) : is_socket(fd));
    CHECK(epoll_wait(epoll, &event, 1, 0) == (copy ? 0 : 1));
    CHECK(fstat(30, &st) == 0 && S_ISREG(st.st_mode));
    CHECK(lseek(44, 0, SEEK_CUR) == 4 && fstat(44, &st) == 0 && S_ISREG(st.st_mode));
    CHECK(!copy || is_null(45, O_RDWR, 0));
    return success();
}
