/*
 * A process, its child and its child's child, which share an open file, a pipe, an eventfd, an
 * epoll instance, memory by one and by two mappings, and a memfd that is only mapped. Each freezes
 * itself into an image of its own, IMAGE.1, IMAGE.2 and IMAGE.3, while the others wait; join_images
 * makes one of the three, and then they are to be a family again: by their pids, and by all that
 * one of them sees of what another does.
 */
#include "frozen.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

enum { PAGE = 4096, PAGES = 16, CHILD_STATUS = 5, GRANDCHILD_STATUS = 7 };

struct shared {
    atomic_int said[4];
    unsigned char filler[PAGES * PAGE - 4 * sizeof(atomic_int)];
};

static struct shared *shared, *again;
static atomic_int *in_memfd;
static int file, to_parent[2], event, epoll;
static pid_t pids[4]; /* from 1 */
static int self;
static unsigned char *own;

static unsigned char own_byte(size_t at) {
    return (unsigned char)(at * 31 + at / PAGE + (size_t)self * 101);
}

static void *map_shared(size_t size, int flags, int fd) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

static void build(void) {
    shared = map_shared(sizeof *shared, MAP_ANONYMOUS, -1);
    memset(shared->filler, 0x5a, sizeof shared->filler);
    again = mremap(shared, 0, sizeof *shared, MREMAP_MAYMOVE);
    CHECK(again != MAP_FAILED);
    const int fd = (int)syscall(SYS_memfd_create, "counter", 0u);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    in_memfd = map_shared(PAGE, 0, fd);
    CHECK(close(fd) == 0);

    file = open(beside("lines"), O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK(file >= 0 && write(file, "begin\n", 6) == 6);
    CHECK(pipe(to_parent) == 0 && write(to_parent[1], "before, ", 8) == 8);
    event = eventfd(3, EFD_NONBLOCK);
    epoll = epoll_create1(0);
    struct epoll_event watch = {.events = EPOLLIN, .data.u64 = 17};
    CHECK(event >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watch) == 0);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int wanted;

static void *wait_until_wanted(void *unused) {
    pthread_mutex_lock(&lock);
    while (!wanted)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return unused;
}

/* What is one process's alone. */
static void build_own(void) {
    own = malloc(PAGES * PAGE);
    CHECK(own);
    for (size_t i = 0; i < PAGES * PAGE; i++)
        own[i] = own_byte(i);
    const struct itimerval later = {.it_value.tv_sec = 1000 * self};
    CHECK(setitimer(ITIMER_REAL, &later, NULL) == 0);
}

static int mappings_of_the_stub(void) {
    char line[256];
    int left = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        const unsigned long start = strtoul(line, NULL, 16);
        left += start >= 0x100000000000 && start < 0x200000000000;
    }
    CHECK(fclose(maps) == 0);
    return left;
}

/* What is left of the stub, once all threads have left it: nothing, or what they have left it by. */
static void verify_surroundings(void) {
    const time_t deadline = time(NULL) + 30;
    while (mappings_of_the_stub() > 1)
        CHECK(time(NULL) < deadline);
}

static void verify_own(void) {
    verify_surroundings();
    for (size_t i = 0; i < PAGES * PAGE; i++)
        CHECK(own[i] == own_byte(i));
    struct itimerval left;
    CHECK(getitimer(ITIMER_REAL, &left) == 0);
    CHECK(left.it_value.tv_sec > 1000 * self - 100 && left.it_value.tv_sec <= 1000 * self);
    CHECK(getpid() == pids[self] && (self == 1 || getppid() == pids[self - 1]));
    for (size_t i = 0; i < sizeof shared->filler; i++)
        CHECK(shared->filler[i] == 0x5a);
}

static void wait_for_signal(void) {
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(sigwait(&set, &number) == 0);
}

static void freeze_in_turn(void) {
    char image[PATH_MAX];
    snprintf(image, sizeof image, "%s.%d", getenv("IMAGE"), self);
    if (self > 1)
        wait_for_signal();
    if (freeze_into(image) == PARENT && self < 3)
        CHECK(kill(pids[self + 1], SIGUSR1) == 0);
}

/* Waits in memory that all see. */
static void say(int what) {
    atomic_store(&shared->said[what], what + 40);
    CHECK(syscall(SYS_futex, &shared->said[what], 1 /* FUTEX_WAKE */, 100, NULL, NULL, 0) >= 0);
}

static void hear(int what) {
    int seen;
    while ((seen = atomic_load(&again->said[what])) == 0)
        syscall(SYS_futex, &again->said[what], 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
    CHECK(seen == what + 40);
}

static void end_of_child(pid_t child, int expected) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

static int grandchild(void) {
    build_own();
    freeze_in_turn();
    verify_own();
    hear(1);
    uint64_t count;
    struct epoll_event ready;
    CHECK(epoll_wait(epoll, &ready, 1, 0) == 1 && ready.data.u64 == 17);
    CHECK(read(event, &count, sizeof count) == sizeof count && count == 3);
    CHECK(write(file, "third\n", 6) == 6);
    atomic_fetch_add(in_memfd, 30);
    say(3);
    return GRANDCHILD_STATUS;
}

static int child(void) {
    pthread_t thread;
    const pid_t made = fork();
    CHECK(made >= 0);
    self = made ? 2 : 3;
    pids[3] = made ? made : getpid();
    if (made == 0)
        _exit(grandchild());
    build_own();
    CHECK(pthread_create(&thread, NULL, wait_until_wanted, NULL) == 0);
    freeze_in_turn();
    verify_own();
    pthread_mutex_lock(&lock);
    wanted = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    CHECK(pthread_join(thread, NULL) == 0);
    hear(3);
    end_of_child(pids[3], GRANDCHILD_STATUS);
    atomic_fetch_add(in_memfd, 200);
    CHECK(write(file, "second\n", 7) == 7 && write(to_parent[1], "after", 5) == 5);
    return CHILD_STATUS;
}

static int first(void) {
    char text[64] = "";
    self = 1;
    build_own();
    freeze_in_turn();
    verify_own();
    say(1);
    end_of_child(pids[2], CHILD_STATUS);
    CHECK(read(to_parent[0], text, sizeof text - 1) == 13 && !strcmp(text, "before, after"));
    CHECK(atomic_load(in_memfd) == 230);
    CHECK(write(file, "first\n", 6) == 6);
    CHECK(pread(file, text, sizeof text - 1, 0) == 25);
    CHECK(!strcmp(text, "begin\nthird\nsecond\nfirst\n"));
    return success();
}

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    build();
    pids[1] = getpid();
    const pid_t made = fork();
    CHECK(made >= 0);
    pids[2] = made ? made : getpid();
    if (made == 0)
        _exit(child());
    return first();
}
