/*
 * What an image cannot carry is refused: -1, ENOTSUP, and a sentence that names it; nothing is left
 * in the directory, and the process goes on. Each case is a child of its own.
 */
#include "frozen.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { NOT_HERE = 76 };

static const char *current;

static int images(void) {
    int count = 0;
    const char *end = strrchr(getenv("IMAGE"), '/');
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", (int)(end - getenv("IMAGE")), getenv("IMAGE"));
    DIR *d = opendir(directory);
    CHECK(d);
    for (struct dirent *entry; (entry = readdir(d));)
        count += strstr(entry->d_name, ".tmp") || strstr(entry->d_name, "image");
    closedir(d);
    return count;
}

/* The call must fail, saying `words` and, unless negative, the number of the descriptor. */
static void refused(const char *words, int fd) {
    char number[32];
    snprintf(number, sizeof number, "descriptor %d ", fd);
    errno = 0;
    const int outcome = rfork_checkpoint(getenv("IMAGE"));
    const int error = errno;
    const char *sentence = rfork_strerror_last();
    if (outcome != -1) {
        if (outcome == PARENT)
            fprintf(stderr, "%s: was not refused\n", current);
        unlink(getenv("IMAGE"));
        _exit(1);
    }
    if (error != ENOTSUP || !strstr(sentence, words) || (fd >= 0 && !strstr(sentence, number)) ||
        images() != 0) {
        fprintf(stderr, "%s: errno %d, expected \"%s\"%s, %d files left: %s\n", current, error,
                words, fd >= 0 ? number : "", images(), sentence);
        _exit(1);
    }
    printf("note: %s: %s\n", current, sentence);
    fflush(stdout);
}

static void refused_without(const char *words) {
    refused("", -1);
    if (strstr(rfork_strerror_last(), words)) {
        fprintf(stderr, "%s: there must be no \"%s\": %s\n", current, words, rfork_strerror_last());
        _exit(1);
    }
}

static int at(int number, int fd) {
    if (fd < 0)
        _exit(NOT_HERE);
    CHECK(fd == number || (dup2(fd, number) == number && close(fd) == 0));
    return number;
}

/* A process that has all descriptors of this one, until it is let go. */
static pid_t keep_open(void) {
    const pid_t keeper = fork();
    CHECK(keeper >= 0);
    if (keeper == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    return keeper;
}
static void let_go(pid_t keeper) {
    CHECK(kill(keeper, SIGKILL) == 0 && waitpid(keeper, NULL, 0) == keeper);
}
static void pipe_end(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && at(5, ends[0]) == 5);
    const pid_t keeper = keep_open();
    CHECK(close(ends[1]) == 0);
    refused("other end", 5);
    let_go(keeper);
}
static void named_pipe(void) {
    CHECK(mkfifo(beside("fifo"), 0600) == 0);
    at(6, open(beside("fifo"), O_RDWR));
    refused("named pipe", 6);
    unlink(beside("fifo"));
}
static void named_pipe_as_stream(void) {
    CHECK(mkfifo(beside("fifo"), 0600) == 0);
    const int fd = open(beside("fifo"), O_RDWR);
    CHECK(dup2(fd, 0) == 0 && close(fd) == 0);
    refused("named pipe", 0);
    unlink(beside("fifo"));
}
static void unix_socket(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    at(9, ends[1]);
    CHECK(close(ends[0]) == 0);
    refused("socket", 9);
}
static void inet_socket(void) {
    refused("socket", at(5, socket(AF_INET, SOCK_DGRAM, 0)));
}
static void timer_on_other_process(void) {
    clockid_t clock;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    CHECK(clock_getcpuclockid(getppid(), &clock) == 0);
    CHECK(timer_create(clock, &event, &timer) == 0);
    refused("POSIX timer 0 runs on the CPU time of process", -1);
}
static void mode_forbids_writing(void) {
    if (geteuid() == 0)
        _exit(NOT_HERE);
    const int fd = at(5, open(beside("read-only"), O_RDWR | O_CREAT, 0600));
    CHECK(fchmod(fd, 0444) == 0);
    refused("is open for writing, which its mode does not allow now (0444, user ", fd);
    CHECK(unlink(beside("read-only")) == 0);
}
static void mapped_memory_file(void) {
    const int fd = at(5, memfd_create("some name", 0));
    CHECK(ftruncate(fd, 4096) == 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
    refused("memfd_create(2) and is mapped", fd);
}
static void asynchronous_io(void) {
    unsigned long context = 0;
    if (syscall(SYS_io_setup, 1, &context) != 0)
        _exit(NOT_HERE);
    refused("a ring of asynchronous I/O", -1);
}
static void path_of_deleted_file(void) {
    const int fd = open(beside("gone"), O_RDWR | O_CREAT, 0600);
    CHECK(at(8, open(beside("gone"), O_PATH)) == 8 && close(fd) == 0);
    CHECK(unlink(beside("gone")) == 0);
    refused("deleted", 8);
}
static void unlinked_name(void) {
    /* Still linked, but the kernel can only name it as deleted: a hard link was its name. */
    char old[PATH_MAX], other[PATH_MAX];
    snprintf(old, sizeof old, "%s", beside("old"));
    snprintf(other, sizeof other, "%s", beside("other"));
    const int fd = at(8, open(old, O_RDWR | O_CREAT, 0600));
    CHECK(link(old, other) == 0 && unlink(old) == 0);
    refused("no longer at that path", fd);
    unlink(other);
}
static void lease(void) {
    const int fd = at(5, open(beside("leased"), O_RDONLY | O_CREAT, 0600));
    if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0)
        _exit(NOT_HERE);
    refused("lease", fd);
}
static void asynchronous(void) {
    const int fd = at(5, open("/dev/urandom", O_RDWR));
    CHECK(fcntl(fd, F_SETFL, O_ASYNC) == 0 && (fcntl(fd, F_GETFL) & O_ASYNC));
    refused("O_ASYNC", fd);
}
static void owner_of_signals(void) {
    const int fd = at(5, socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in any = {.sin_family = AF_INET};
    CHECK(bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 1) == 0);
    CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
    refused("F_SETOWN", fd);
}
static void ignored_owner(void) {
    const int fd = at(5, eventfd(0, 0));
    CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
    at(7, inotify_init()); /* what stands in the way */
    CHECK(setenv("RFORK_IGNORE", "async", 1) == 0);
    refused_without("F_SETOWN");
    CHECK(unsetenv("RFORK_IGNORE") == 0);
}
static void number_of_signals(void) {
    const int fd = at(5, eventfd(0, 0));
    CHECK(fcntl(fd, F_SETSIG, SIGUSR1) == 0);
    refused("F_SETSIG", fd);
}
static void asynchronous_stream(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && dup2(ends[0], 0) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    CHECK(fcntl(0, F_SETFL, O_ASYNC) == 0);
    refused("O_ASYNC", 0);
}
static void poll_set(void) {
    int ends[2];
    const int epoll = at(20, epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(pipe(ends) == 0 && dup2(ends[0], 21) == 21);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, 21, &event) == 0);
    const pid_t keeper = keep_open(); /* has the pipe, so that it stays watched */
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(21) == 0);
    refused("was descriptor 21", epoll);
    let_go(keeper);
}
static void write_end(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && at(6, ends[1]) == 6);
    const pid_t keeper = keep_open();
    CHECK(close(ends[0]) == 0);
    refused("other end", 6);
    let_go(keeper);
}
static void two_read_ends(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && at(40, open("/proc/self/fd/3", O_RDONLY)) == 40);
    const pid_t keeper = keep_open();
    CHECK(ends[0] == 3 && close(ends[1]) == 0);
    refused("other end", 3);
    let_go(keeper);
}
static void path_of_pipe(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && ends[0] == 3);
    refused("O_PATH", at(40, open("/proc/self/fd/3", O_PATH)));
}
static void asynchronous_pipe(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && at(30, ends[0]) == 30 && fcntl(30, F_SETFL, O_ASYNC) == 0);
    refused("O_ASYNC", 30);
}
static void tcp_connection(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int server = at(20, socket(AF_INET, SOCK_STREAM, 0));
    const int client = at(21, socket(AF_INET, SOCK_STREAM, 0));
    refused("socket", server);
    CHECK(bind(server, (struct sockaddr *)&address, size) == 0);
    CHECK(close(client) == 0);
    refused("socket", server);
    CHECK(listen(server, 5) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
    at(21, socket(AF_INET, SOCK_STREAM, 0));
    CHECK(connect(client, (struct sockaddr *)&address, size) == 0);
    struct pollfd poll_fd = {.fd = server, .events = POLLIN};
    CHECK(poll(&poll_fd, 1, 10000) == 1);
    const int moved = fcntl(client, F_DUPFD, 10);
    CHECK(moved == 10 && close(client) == 0);
    refused("socket", moved);  /* the lower number comes first */
    const pid_t peer = fork(); /* keeps the connection */
    CHECK(peer >= 0);
    if (peer == 0) {
        pause();
        _exit(0);
    }
    CHECK(close(moved) == 0);
    refused("wait to be accepted", server);
    CHECK(kill(peer, SIGKILL) == 0 && waitpid(peer, NULL, 0) == peer);
}
static void unix_connection(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", beside("socket"));
    const int server = at(20, socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK(bind(server, (struct sockaddr *)&address, sizeof address) == 0 && listen(server, 5) == 0);
    const int client = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(close(client) == 0); /* it waits even so */
    refused("wait to be accepted", server);
    CHECK(close(accept(server, NULL, NULL)) == 0 && unlink(address.sun_path) == 0);
    refused("no longer", server);
}
static void two_sockets_of_one_path(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", beside("socket"));
    for (int fd = 20; fd <= 21; fd++) {
        at(fd, socket(AF_UNIX, SOCK_STREAM, 0));
        CHECK(unlink(address.sun_path) == 0 || errno == ENOENT);
        CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 5) == 0);
    }
    refused("where its socket is no longer", 20);
    CHECK(unlink(address.sun_path) == 0);
}
static void socket_filter(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
    const struct sock_fprog program = {.len = 1, .filter = &allow};
    const int fd = at(20, socket(AF_INET, SOCK_STREAM, 0));
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        _exit(NOT_HERE);
    CHECK(listen(fd, 5) == 0);
    refused("filter", fd);
}
static void all_at_once(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && ends[0] == 3 && ends[1] == 4);
    CHECK(fcntl(3, F_SETFL, O_ASYNC) == 0); /* not what stands in the way */
    refused("3 (socket", 3);
    for (int fd = 5; fd < 20; fd += 2)
        at(fd, inotify_init());
    CHECK(mkdir(beside("gone"), 0700) == 0);
    CHECK(chdir(beside("gone")) == 0 && rmdir(beside("gone")) == 0);
    refused("is a socket", 3);
    refused("is a socket", 4);
    refused("inotify", 5);
    refused("and 4 more: close them before the call, or", -1);
    refused("working directory", -1);
    refused_without("descriptor 13 ");
    refused_without("O_ASYNC");
}
static void watcher(void) {
    refused("inotify", at(5, inotify_init()));
}
static void process_descriptor(void) {
    refused("", at(5, (int)syscall(SYS_pidfd_open, getpid(), 0)));
}
static void name_space(void) {
    refused("a kind", at(5, open("/proc/self/ns/net", O_RDONLY)));
}
static void device(void) {
    refused("device", at(5, open("/dev/ptmx", O_RDWR | O_NOCTTY)));
}
static void own_proc_file(void) {
    refused("/proc/", at(5, open("/proc/self/status", O_RDONLY)));
}
static void own_proc_directory(void) {
    refused("/proc/", at(5, open("/proc/self/fd", O_RDONLY | O_DIRECTORY)));
}
static void deleted_directory(void) {
    CHECK(mkdir(beside("gone"), 0700) == 0 && chdir(beside("gone")) == 0);
    CHECK(rmdir(beside("gone")) == 0);
    refused("working directory", -1);
}
static void system_v_memory(void) {
    const int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    if (id < 0)
        _exit(NOT_HERE);
    CHECK(shmat(id, NULL, 0) != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
    refused("System V", -1);
}
static void user_faults(void) {
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
    refused("userfaultfd", at(5, fd));
}
static void read_only_memfd(void) {
    const int fd = (int)syscall(SYS_memfd_create, "half", 0u);
    char path[32];
    CHECK(fd >= 0 && ftruncate(fd, 8192) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int reading = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(reading >= 0 && mmap(NULL, 8192, PROT_READ, MAP_SHARED, reading, 0) != MAP_FAILED);
    CHECK(close(reading) == 0 && close(fd) == 0);
    refused("mapped for reading only", -1);
}
/* Memory of a device that no child gets either. */
static void perf_ring(void) {
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof event,
                                    .config = PERF_COUNT_SW_DUMMY,
                                    .exclude_kernel = 1,
                                    .disabled = 1};
    const int fd = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
    if (fd < 0)
        _exit(NOT_HERE);
    if (mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
        _exit(NOT_HERE);
    CHECK(close(fd) == 0);
    refused("the memory at", -1);
}
static void guard_regions(void) {
    char *memory =
        mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    fill(memory, 16 * 4096, 1);
    if (madvise(memory + 4096, 4096, 102 /* MADV_GUARD_INSTALL, Linux 6.13 */) != 0)
        _exit(NOT_HERE);
    refused("guard", -1);
    CHECK(strncmp(rfork_strerror_last(), "in '", 4) != 0); /* the directory is not to blame */
}
static void system_call_filter(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = 1, .filter = &allow};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(NOT_HERE);
    refused("seccomp", -1);
}
static void landlock(void) {
    const struct landlock_ruleset_attr rules = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_CHAR};
    const int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (fd < 0)
        _exit(NOT_HERE);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(syscall(SYS_landlock_restrict_self, fd, 0) == 0 && close(fd) == 0);
    refused("Landlock", -1);
}
static volatile char let_through; /* 0: all system calls */
static volatile int dispatches;
static sem_t dispatch_is_set;
static void *dispatching_thread(void *unused) {
    dispatches = prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &let_through) == 0;
    CHECK(sem_post(&dispatch_is_set) == 0);
    for (;;)
        pause();
    return unused;
}
static void system_call_dispatch(void) {
    pthread_t thread;
    CHECK(sem_init(&dispatch_is_set, 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, dispatching_thread, NULL) == 0);
    CHECK(sem_wait(&dispatch_is_set) == 0);
    if (!dispatches)
        _exit(NOT_HERE);
    refused("handles system calls by itself", -1);
}
static void protection_key(void) {
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int key = pkey_alloc(0, 0);
    if (key < 0)
        _exit(NOT_HERE);
    CHECK(memory != MAP_FAILED && pkey_mprotect(memory, 4096, PROT_READ | PROT_WRITE, key) == 0);
    refused("protection key", -1);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(function)                                                                             \
    { #function, function }
    CASE(pipe_end),
    CASE(named_pipe),
    CASE(named_pipe_as_stream),
    CASE(unix_socket),
    CASE(inet_socket),
    CASE(timer_on_other_process),
    CASE(mode_forbids_writing),
    CASE(mapped_memory_file),
    CASE(asynchronous_io),
    CASE(path_of_deleted_file),
    CASE(unlinked_name),
    CASE(lease),
    CASE(asynchronous),
    CASE(asynchronous_stream),
    CASE(owner_of_signals),
    CASE(ignored_owner),
    CASE(number_of_signals),
    CASE(poll_set),
    CASE(write_end),
    CASE(two_read_ends),
    CASE(path_of_pipe),
    CASE(asynchronous_pipe),
    CASE(tcp_connection),
    CASE(unix_connection),
    CASE(two_sockets_of_one_path),
    CASE(socket_filter),
    CASE(all_at_once),
    CASE(watcher),
    CASE(process_descriptor),
    CASE(name_space),
    CASE(device),
    CASE(own_proc_file),
    CASE(own_proc_directory),
    CASE(deleted_directory),
    CASE(system_v_memory),
    CASE(user_faults),
    CASE(read_only_memfd),
    CASE(perf_ring),
    CASE(guard_regions),
    CASE(system_call_filter),
    CASE(landlock),
    CASE(system_call_dispatch),
    CASE(protection_key),
};

int main(void) {
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        current = cases[i].name;
        fflush(stdout);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            cases[i].run();
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE) {
            printf("note: %s: not possible here\n", current);
        } else if (status != 0) {
            if (WIFSIGNALED(status))
                fprintf(stderr, "%s: ended by signal %d\n", current, WTERMSIG(status));
            failures++;
        }
    }
    unlink(beside("leased"));
    CHECK(failures == 0);

    /* With nothing of that, it works. */
    const int outcome = freeze();
    if (outcome == CHILD)
        return 0;
    CHECK(images() == 1);
    return success();
}
