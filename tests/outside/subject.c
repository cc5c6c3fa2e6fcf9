/*
 * A program that knows nothing of rfork, and notices whatever is done to it.
 *
 * Threads compute in all registers, others wait in every kind of system call that waits. Signals are
 * sent to them all the time. Each of them checks what it sees: results, registers, memory, stack,
 * mask, the order of queued signals, time-outs, and that no call is interrupted but by a handler of
 * its own.
 *
 *   subject             writes "ready" when all threads have begun
 *     --socket          one of them waits at a connected socket, which an image cannot carry
 *     --quiet           no signals are sent but those of timers
 *   SIGUSR1             it writes a line: "report 3: eintr 0, signals 5120, ticks 417, children 0"
 *   SIGTERM             it ends; "unharmed" if all is well
 *   HARMED: ...         what was wrong, and it has ended with status 1
 *
 * An EINTR without a handler is counted, not an end: a freezer that is killed may leave one.
 */
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { SECOND = 1000000000, MILLISECOND = 1000000 };
enum { SENT_AT_ONCE = 32 };

static void harmed(const char* format, ...) {
    char text[256] = "HARMED: ";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + strlen(text), sizeof text - 10, format, arguments);
    va_end(arguments);
    strcat(text, "\n");
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(2);
    _exit(1);
}
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            harmed("%s:%d: %s (errno %d)", __func__, __LINE__, #condition, errno);                 \
    } while (0)

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)SECOND + t.tv_nsec;
}
static struct timespec timespec_of(int64_t ns) {
    return (struct timespec){ns / SECOND, ns % SECOND};
}

/* --- a thread, and what it counts ------------------------------------------------------------- */

struct thread {
    const char* name;
    void (*once)(struct thread*); /* over and over again */
    int gets_signals;
    pthread_t thread;
    sigset_t mask;
    atomic_long sent, handled;
    long seen; /* of handled, when its call began */
    atomic_long rounds;
    long interrupted; /* without a handler */
};

static atomic_int quiet, begun;
static atomic_long ticks;
static __thread struct thread* self;
static int signal_to_thread, signal_to_process, signal_of_timer, never_sent;
static atomic_long process_sent, process_handled;

/* --- signals: queued ones arrive in order, each once -------------------------------------------- */

static void handle(int signal, siginfo_t* info, void* context) {
    const int saved = errno;
    volatile char deep[2048];
    (void)context;
    memset((char*)deep, signal, sizeof deep);
    if (signal == signal_to_thread) {
        const long number = atomic_fetch_add(&self->handled, 1);
        if (info->si_code != SI_QUEUE || info->si_value.sival_int != (int)number)
            harmed("%s was sent %d and expects %ld", self->name, info->si_value.sival_int, number);
    } else if (signal == signal_to_process) {
        const long number = atomic_fetch_add(&process_handled, 1);
        if (info->si_value.sival_int != (int)number)
            harmed("%d came, %ld is next", info->si_value.sival_int, number);
    } else {
        atomic_fetch_add(&ticks, 1);
    }
    if (deep[sizeof deep - 1] != (char)signal)
        harmed("a handler's stack has changed");
    errno = saved;
}

static void handle_by(int signal, int flags) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | flags};
    sigfillset(&action.sa_mask);
    CHECK(sigaction(signal, &action, NULL) == 0);
}

/* Whether a call that said EINTR has to be made again: it had no handler to run. */
static int interrupted(struct thread* me) {
    if (errno != EINTR)
        harmed("%s: %s", me->name, strerror(errno));
    if (atomic_load(&me->handled) == me->seen)
        me->interrupted++;
    return 1;
}

/* --- computing ---------------------------------------------------------------------------------- */

/* Holds what it is given in registers while it counts, and gives back what is there then. */
#define SPIN "mov $200000, %%rcx\n1: add $3, %%rax\n ror $7, %%rax\n dec %%rcx\n jnz 1b\n"

#define LOAD(n) "vmovdqu " #n "*32(%[v]), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%[v])\n"
#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
__attribute__((target("avx2"))) static uint64_t spin_avx(uint8_t* vectors, uint64_t seed) {
    __asm__ volatile(ALL(LOAD) SPIN ALL(STORE)
                     : "+a"(seed)
                     : [v] "r"(vectors)
                     : "rcx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15");
    return seed;
}
#undef LOAD
#undef STORE
#define LOAD(n) "vmovdqu64 " #n "*64(%[v]), %%zmm" #n "\n"
#define STORE(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%[v])\n"
#define MORE(X)                                                                                    \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
__attribute__((target("avx512f,avx512bw"))) static uint64_t spin_avx512(uint8_t* vectors,
                                                                        uint64_t seed) {
    __asm__ volatile(
        ALL(LOAD) MORE(LOAD) "kmovq (%[v]), %%k1\n kmovq 8(%[v]), %%k7\n" SPIN ALL(STORE)
            MORE(STORE) "kmovq %%k1, (%[v])\n kmovq %%k7, 8(%[v])\n"
        : "+a"(seed)
        : [v] "r"(vectors)
        : "rcx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",
          "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
          "xmm29", "xmm30", "xmm31", "k1", "k7");
    return seed;
}
static uint64_t spin_plain(uint8_t* vectors, uint64_t seed) {
    __asm__ volatile("movdqu (%[v]), %%xmm5\n" SPIN "movdqu %%xmm5, (%[v])\n"
                     : "+a"(seed)
                     : [v] "r"(vectors)
                     : "rcx", "memory", "xmm5");
    return seed;
}

static void registers(struct thread* me) {
    uint8_t before[2048], vectors[2048];
    for (unsigned i = 0; i < sizeof before; i++)
        before[i] = (uint8_t)(i * 7 + (uintptr_t)me / 64);
    memcpy(vectors, before, sizeof before);
    uint64_t wanted = 1, got;
    for (int i = 0; i < 200000; i++) {
        wanted += 3;
        wanted = wanted >> 7 | wanted << 57;
    }
    const uint32_t mxcsr = 0x1f80 | (uint32_t)(me->rounds % 4) << 13; /* rounding */
    const uint16_t x87 = (uint16_t)(0x37f ^ (me->rounds % 4) << 10);
    uint32_t mxcsr_after;
    uint16_t x87_after;
    __asm__ volatile("ldmxcsr %0\n fldcw %1" ::"m"(mxcsr), "m"(x87));
    if (__builtin_cpu_supports("avx512bw"))
        got = spin_avx512(vectors, 1);
    else if (__builtin_cpu_supports("avx2"))
        got = spin_avx(vectors, 1);
    else
        got = spin_plain(vectors, 1);
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr_after), "=m"(x87_after));
    const uint32_t usual = 0x1f80;
    __asm__ volatile("ldmxcsr %0\n fninit" ::"m"(usual));
    if (got != wanted || memcmp(vectors, before, sizeof before) != 0)
        harmed("%s: registers have changed", me->name);
    if ((mxcsr_after ^ mxcsr) & ~0x3fu || x87_after != x87)
        harmed("%s: rounding has changed", me->name);
}

/* A word is what its neighbour was before it: each round moves all of them one further. */
static void memory(struct thread* me) {
    enum { WORDS = 1 << 20 };
    static uint64_t* words;
    if (!words)
        CHECK(words = calloc(WORDS, sizeof *words));
    for (int i = 0; i < WORDS; i++) {
        if (words[i] != (uint64_t)me->rounds * (uint64_t)(i | 1))
            harmed("word %d has changed", i);
        words[i] += (uint64_t)(i | 1);
    }
}

static uint64_t deeper(unsigned depth, uint64_t seed) {
    volatile uint64_t here[32];
    for (int i = 0; i < 32; i++)
        here[i] = seed + (uint64_t)i;
    const uint64_t below = depth ? deeper(depth - 1, seed * 3 + 1) : seed;
    for (int i = 0; i < 32; i++)
        if (here[i] != seed + (uint64_t)i)
            harmed("the stack has changed");
    return below + seed;
}
static void stack(struct thread* me) {
    const uint64_t once = deeper(200, (uint64_t)me->rounds);
    if (deeper(200, (uint64_t)me->rounds) != once)
        harmed("the stack gives two results");
}

/* On a stack of its own among other memory, as coroutines have: below it, nothing is free. */
static uint8_t* around;
enum { AROUND = 96 << 10, BELOW = 32 << 10, ITS_STACK = 32 << 10 };
static ucontext_t out, in;
static void on_its_own_stack(void) {
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < AROUND; i++)
            if ((i < BELOW || i >= BELOW + ITS_STACK) && around[i] != (uint8_t)(i * 5))
                harmed("memory %d below a coroutine's stack has changed", BELOW - i);
}
static void coroutine(struct thread* me) {
    (void)me;
    if (!around) {
        CHECK(around = malloc(AROUND));
        for (int i = 0; i < AROUND; i++)
            around[i] = (uint8_t)(i * 5);
    }
    CHECK(getcontext(&in) == 0);
    in.uc_stack.ss_sp = around + BELOW;
    in.uc_stack.ss_size = ITS_STACK;
    in.uc_link = &out;
    makecontext(&in, on_its_own_stack, 0);
    CHECK(swapcontext(&out, &in) == 0);
}

static void asks_the_time(struct thread* me) {
    static int64_t last;
    (void)me;
    for (int i = 0; i < 1000; i++) {
        const int64_t time = now();
        CHECK(time >= last);
        last = time;
    }
}

/* --- waiting for a time ------------------------------------------------------------------------- */

static int silent[2]; /* a pipe in which nothing comes */
static const int64_t a_while = 70 * MILLISECOND;

static void waits(struct thread* me, int (*call)(const struct timespec*)) {
    const int64_t begin = now();
    const struct timespec time = timespec_of(a_while);
    me->seen = atomic_load(&me->handled);
    errno = 0;
    if (call(&time) == -1 && interrupted(me))
        return;
    if (now() - begin < a_while - 10 * MILLISECOND) /* sockets count ticks of the kernel */
        harmed("%s: %ld us early", me->name, (long)(begin + a_while - now()) / 1000);
}

#define WAITS(name, ...)                                                                           \
    static int name##_call(const struct timespec* time) {                                          \
        __VA_ARGS__                                                                                \
    }                                                                                              \
    static void name(struct thread* me) {                                                          \
        waits(me, name##_call);                                                                    \
    }

WAITS(sleeps, return nanosleep(time, NULL);)
WAITS(sleeps_by_clock, const int error = clock_nanosleep(CLOCK_BOOTTIME, 0, time, NULL);
      errno = error; return error ? -1 : 0;)
WAITS(sleeps_until, const struct timespec due = timespec_of(now() + a_while); (void)time;
      const int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL); errno = error;
      return error ? -1 : 0;)
WAITS(polls, struct pollfd set = {silent[0], POLLIN, 0};
      return poll(&set, 1, (int)(time->tv_nsec / MILLISECOND));)
WAITS(ppolls, struct pollfd set = {silent[0], POLLIN, 0}; return ppoll(&set, 1, time, &self->mask);)
WAITS(selects, struct timeval left = {0, time->tv_nsec / 1000}; fd_set set; FD_ZERO(&set);
      FD_SET(silent[0], &set); return select(silent[0] + 1, &set, NULL, NULL, &left);)
static int epoll_set;
WAITS(epolls, struct epoll_event event;
      return epoll_wait(epoll_set, &event, 1, (int)(time->tv_nsec / MILLISECOND));)
WAITS(waits_on_word, static int word = 5;
      return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, time) == -1 && errno == ETIMEDOUT
                 ? 0
                 : -1;)
WAITS(waits_for_signal, sigset_t set; sigemptyset(&set); sigaddset(&set, never_sent);
      return sigtimedwait(&set, NULL, time) == -1 && errno == EAGAIN ? 0 : -1;)
static int listener;
WAITS(accepts, (void)time; return accept(listener, NULL, NULL) == -1 && errno == EAGAIN ? 0 : -1;)
static int semaphore;
static void make_semaphore(void) {
    CHECK((semaphore = semget(IPC_PRIVATE, 1, 0600)) >= 0);
}
/* One that the end of the original has removed is made anew in a copy. */
WAITS(waits_for_semaphore, struct sembuf down = {0, -1, 0};
      while (semtimedop(semaphore, &down, 1, time) == -1 && (errno == EINVAL || errno == EIDRM))
          make_semaphore();
      return errno == EAGAIN ? 0 : -1;)
static int receiver;
WAITS(receives, char byte; (void)time;
      return recv(receiver, &byte, 1, 0) == -1 && errno == EAGAIN ? 0 : -1;)

/* --- waiting for each other --------------------------------------------------------------------- */

static int numbers[2];
static void reads(struct thread* me) {
    long number = -1;
    me->seen = atomic_load(&me->handled);
    if (read(numbers[0], &number, sizeof number) != sizeof number && interrupted(me)) {
        me->rounds--;
        return;
    }
    if (number != me->rounds)
        harmed("read %ld, and expected %ld", number, me->rounds);
}

static atomic_int word;
static void waits_for_change(struct thread* me) {
    const int before = atomic_load(&word);
    me->seen = atomic_load(&me->handled);
    if (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, before, NULL) == -1 && errno != EAGAIN)
        interrupted(me);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long turns;
static void waits_for_turn(struct thread* me) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    const long before = turns;
    while (turns == before)
        CHECK(pthread_cond_wait(&condition, &mutex) == 0);
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    (void)me;
}

static void moves_others(struct thread* me) {
    const long number = me->rounds;
    const struct timespec pause = timespec_of(20 * MILLISECOND);
    CHECK(write(numbers[1], &number, sizeof number) == sizeof number);
    atomic_fetch_add(&word, 1);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 99);
    CHECK(pthread_mutex_lock(&mutex) == 0);
    turns++;
    CHECK(pthread_cond_broadcast(&condition) == 0 && pthread_mutex_unlock(&mutex) == 0);
    if (nanosleep(&pause, NULL) != 0)
        interrupted(me);
}

/* --- all of them -------------------------------------------------------------------------------- */

static void sends(struct thread*);
static void sends_slowly(struct thread*);

static struct thread threads[] = {
    {.name = "registers", .once = registers},
    {.name = "registers with signals", .once = registers, .gets_signals = 1},
    {.name = "memory", .once = memory, .gets_signals = 1},
    {.name = "stack", .once = stack, .gets_signals = 1},
    {.name = "coroutine", .once = coroutine},
    {.name = "clock", .once = asks_the_time},
    {.name = "nanosleep", .once = sleeps},
    {.name = "nanosleep with signals", .once = sleeps, .gets_signals = 1},
    {.name = "clock_nanosleep", .once = sleeps_by_clock},
    {.name = "clock_nanosleep until", .once = sleeps_until},
    {.name = "poll", .once = polls},
    {.name = "poll with signals", .once = polls, .gets_signals = 1},
    {.name = "ppoll", .once = ppolls},
    {.name = "select", .once = selects},
    {.name = "epoll_wait", .once = epolls},
    {.name = "epoll_wait with signals", .once = epolls, .gets_signals = 1},
    {.name = "futex for a time", .once = waits_on_word},
    {.name = "sigtimedwait", .once = waits_for_signal},
    {.name = "semtimedop", .once = waits_for_semaphore},
    {.name = "accept", .once = accepts},
    {.name = "read", .once = reads, .gets_signals = 1}, /* SA_RESTART */
    {.name = "futex", .once = waits_for_change},
    {.name = "condition", .once = waits_for_turn},
    {.name = "moves others", .once = moves_others},
    {.name = "sends", .once = sends},
    {.name = "sends slowly", .once = sends_slowly},
    {.name = "recv", .once = receives}, /* if asked for: an image cannot carry it */
};
enum { THREADS = sizeof threads / sizeof threads[0] };
static int count = THREADS - 1;

static void send_to(struct thread* t) {
    if (quiet || !t->gets_signals ||
        atomic_load(&t->sent) - atomic_load(&t->handled) >= SENT_AT_ONCE)
        return;
    const long number = atomic_fetch_add(&t->sent, 1);
    CHECK(pthread_sigqueue(t->thread, signal_to_thread, (union sigval){.sival_int = (int)number}) ==
          0);
}

static int computes(const struct thread* t) {
    return t->once == registers || t->once == memory || t->once == stack;
}

static void sends(struct thread* me) {
    const struct timespec pause = timespec_of(MILLISECOND);
    for (int i = 0; i < count; i++)
        if (computes(&threads[i]))
            send_to(&threads[i]);
    if (!quiet && atomic_load(&process_sent) - atomic_load(&process_handled) < SENT_AT_ONCE) {
        const long number = atomic_fetch_add(&process_sent, 1);
        CHECK(sigqueue(getpid(), signal_to_process, (union sigval){.sival_int = (int)number}) == 0);
    }
    if (nanosleep(&pause, NULL) != 0)
        interrupted(me);
}

static void sends_slowly(struct thread* me) {
    const struct timespec pause = timespec_of(30 * MILLISECOND);
    for (int i = 0; i < count; i++)
        if (!computes(&threads[i]))
            send_to(&threads[i]);
    if (nanosleep(&pause, NULL) != 0)
        interrupted(me);
}

static void check_mask(const struct thread* me) {
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (signal != SIGKILL && signal != SIGSTOP &&
            sigismember(&mask, signal) != sigismember(&me->mask, signal))
            harmed("%s: signal %d is %s", me->name, signal,
                   sigismember(&mask, signal) ? "blocked" : "not blocked");
}

/* Each has a mask that no other has. */
static void set_mask(struct thread* me) {
    const int number = (int)(me - threads);
    sigfillset(&me->mask);
    for (int bit = 0; bit < 5; bit++)
        if (number >> bit & 1)
            sigdelset(&me->mask, SIGRTMAX - bit);
    if (me->gets_signals)
        sigdelset(&me->mask, signal_to_thread);
    if (me->once == registers && me->gets_signals) {
        sigdelset(&me->mask, signal_to_process);
        sigdelset(&me->mask, signal_of_timer);
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &me->mask, NULL) == 0);
}

static void* live(void* argument) {
    struct thread* me = self = argument;
    set_mask(me);
    atomic_fetch_add(&begun, 1);
    for (;; me->rounds++) {
        me->once(me);
        check_mask(me);
    }
    return me;
}

/* --- the main thread waits for orders in sigsuspend(2) ------------------------------------------- */

static long spurious; /* it went on without */
static volatile sig_atomic_t asked, told_to_end, rang;
static void note(int signal) {
    if (signal == SIGALRM)
        rang++;
    else
        *(signal == SIGTERM ? &told_to_end : &asked) += 1;
}

/* Without __WALL, nobody may ever see a child; with it, one that a killed freezer has left. */
static int count_children(void) {
    siginfo_t info = {0};
    CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD);
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == -1) {
        CHECK(errno == ECHILD);
        return 0;
    }
    return 1;
}

static void write_line(const char* format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(write(STDOUT_FILENO, text, (size_t)size) == size);
}

static void prepare(int with_socket) {
    signal_to_thread = SIGRTMIN, signal_to_process = SIGRTMIN + 1, never_sent = SIGRTMIN + 3;
    signal_of_timer = SIGRTMIN + 2;
    handle_by(signal_to_thread, SA_RESTART);
    handle_by(signal_to_process, SA_RESTART);
    handle_by(signal_of_timer, 0);
    CHECK(pipe(silent) == 0 && pipe(numbers) == 0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK((epoll_set = epoll_create1(0)) >= 0);
    CHECK(epoll_ctl(epoll_set, EPOLL_CTL_ADD, silent[0], &event) == 0);
    make_semaphore();
    const struct timeval patience = {0, a_while / 1000};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK((listener = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    CHECK(bind(listener, (const struct sockaddr*)&address, sizeof address) == 0);
    CHECK(listen(listener, 1) == 0);
    if (with_socket) {
        int pair[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        receiver = pair[0];
        CHECK(setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
        count = THREADS;
    }
}

static void start_timers(void) {
    const struct itimerspec fast = {timespec_of(2 * MILLISECOND), timespec_of(2 * MILLISECOND)};
    const struct itimerval slow = {{0, 10000}, {0, 10000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal_of_timer};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &fast, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &slow, NULL) == 0);
}

static void report(const sigset_t* mask) {
    sigset_t inside;
    static int reports;
    static long ticks_before, rang_before;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &inside) == 0);
    CHECK(sigismember(&inside, SIGUSR1) == 1 && sigismember(mask, SIGUSR1) == 0);
    long signals = atomic_load(&process_handled), eintr = spurious;
    char names[256] = "";
    for (int i = 0; i < count; i++) {
        signals += atomic_load(&threads[i].handled);
        eintr += threads[i].interrupted;
        if (threads[i].interrupted && strlen(names) < 200)
            strcat(strcat(names, "; "), threads[i].name);
    }
    write_line("report %d: eintr %ld, signals %ld, ticks %ld, children %d%s\n", ++reports, eintr,
               signals, atomic_load(&ticks), count_children(), names);
    CHECK(ticks > ticks_before || reports == 1);
    CHECK(rang > rang_before || reports == 1);
    ticks_before = ticks;
    rang_before = rang;
}

static int all_have_arrived(void) {
    for (int i = 0; i < count; i++)
        if (atomic_load(&threads[i].sent) != atomic_load(&threads[i].handled))
            return 0;
    return atomic_load(&process_sent) == atomic_load(&process_handled);
}

static int all_go_on(const long* rounds) {
    for (int i = 0; i < count; i++)
        if (threads[i].rounds < rounds[i] + 2)
            return 0;
    return 1;
}

/* No signal has been lost, and no thread. */
static void finish(void) {
    const int64_t deadline = now() + 20 * (int64_t)SECOND;
    const struct timespec pause = timespec_of(MILLISECOND);
    long rounds[THREADS];
    quiet = 1;
    for (int i = 0; i < count; i++)
        rounds[i] = threads[i].rounds;
    while (!all_have_arrived() || !all_go_on(rounds)) {
        nanosleep(&pause, NULL);
        for (int i = 0; i < count && now() > deadline; i++)
            if (threads[i].sent != threads[i].handled || threads[i].rounds < rounds[i] + 2)
                harmed("%s: of %ld signals %ld have come, and it is in round %ld, after %ld",
                       threads[i].name, threads[i].sent, threads[i].handled, threads[i].rounds,
                       rounds[i]);
        if (now() > deadline)
            harmed("of %ld signals to the process %ld have come", process_sent, process_handled);
    }
    CHECK(semctl(semaphore, 0, IPC_RMID) == 0);
    write_line("unharmed\n");
    _exit(0);
}

int main(int argc, char** argv) {
    sigset_t blocked, waiting;
    sigfillset(&blocked);
    CHECK(pthread_sigmask(SIG_SETMASK, &blocked, NULL) == 0);
    sigfillset(&waiting);
    for (const int* s = (const int[]){SIGUSR1, SIGTERM, SIGALRM, 0}; *s; s++) {
        const struct sigaction action = {.sa_handler = note};
        CHECK(sigaction(*s, &action, NULL) == 0);
        sigdelset(&waiting, *s);
    }
    quiet = argc > 1 && strcmp(argv[1], "--quiet") == 0;
    prepare(argc > 1 && strcmp(argv[1], "--socket") == 0);
    for (int i = 0; i < count; i++)
        CHECK(pthread_create(&threads[i].thread, NULL, live, &threads[i]) == 0);
    while (begun < count)
        sched_yield();
    start_timers();
    write_line("ready\n");
    int told = 0;
    while (!told_to_end) {
        const int before = asked + told_to_end + rang;
        CHECK(sigsuspend(&waiting) == -1 && errno == EINTR);
        if (asked + told_to_end + rang == before)
            spurious++;
        count_children();
        for (; told < asked; told++)
            report(&waiting);
    }
    finish();
}
