/*
 * thread_attributes LIBRARY - what each thread has of its own: all registers, while it is blocked
 * in a system call; name, nice value, scheduling policy, timer slack, signal mask, signals pending
 * for it, alternate stack, also one that is in use; robust list, restartable sequences,
 * thread-local variables, those of a library opened by name too; and GS, rounding modes, tids and
 * their files.
 */
#include "frozen_threads.h"
#include "registers_call.h"

#include <asm/prctl.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fenv.h>
#include <sys/rseq.h>

enum { THREADS = 12, LIMIT = 64 };

static __thread unsigned char initialized[64] = "as it is in the program";
static __thread unsigned char big[100000];
static __thread int own_number = -1;

static struct thread {
    pthread_t handle;
    int number;
    struct portrait portrait;
    sem_t ready;
    int word; /* a futex, 0 until main wants it to go on */
    void *tid_address;
    unsigned long gs;
    char alternate[64 << 10];
    volatile int inside_handler;
} threads[THREADS];

static int (*plugin_call)(int);
static pthread_key_t key;

/* Blocks until the word is no longer 0; what a system call preserves has to be preserved. */
int raw_wait(const char *word);
__asm__(".pushsection .text\n"
        ".globl raw_wait\n"
        "raw_wait:\n"
        "mov $202, %eax\n" /* futex */
        "mov $128, %esi\n" /* FUTEX_WAIT_PRIVATE */
        "xor %edx, %edx\n"
        "xor %r10d, %r10d\n"
        "movabs $0x0123456789abcdef, %r8\n"
        "lea 1(%r8), %r9\n"
        "push %rdi\n"
        "syscall\n"
        "pop %rdx\n"
        "cmp %rdx, %rdi\n"
        "jne 1f\n"
        "cmp $128, %rsi\n"
        "jne 1f\n"
        "test %r10, %r10\n"
        "jne 1f\n"
        "lea 1(%r8), %rdx\n"
        "cmp %rdx, %r9\n"
        "jne 1f\n"
        "movabs $0x0123456789abcdef, %rdx\n"
        "cmp %rdx, %r8\n"
        "jne 1f\n"
        "ret\n"
        "1: mov $77, %eax\n"
        "ret\n"
        ".popsection\n");

static int distinguishing(int number) {
    return SIGRTMIN + 5 + number;
}

/* Three kinds of name, two of which one might not expect in /proc. */
static void set_name(int number) {
    static const char *const forms[] = {"thread %d", "a) R %d (b", "line\n%d"};
    char name[16];
    snprintf(name, sizeof name, forms[number % 3], number);
    CHECK(prctl(PR_SET_NAME, name) == 0);
}

static void set_scheduling(int number) {
    const struct sched_param none = {0};
    const int policies[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE,
                            SCHED_OTHER | SCHED_RESET_ON_FORK};
    be_nicer(number % 7);
    CHECK(sched_setscheduler(0, policies[number % 4], &none) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 50000ul + 1000ul * (unsigned long)number) == 0);
}

static void set_signals(struct thread *t) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, distinguishing(t->number));
    CHECK(pthread_sigmask(SIG_BLOCK, &mask, NULL) == 0);
    if (t->number % 3 == 0)
        return;
    const stack_t stack = {.ss_sp = t->alternate,
                           .ss_size = sizeof t->alternate - (size_t)t->number * 1024,
                           .ss_flags =
                               t->number % 3 == 2 ? (int)(1u << 31) : 0}; /* SS_AUTODISARM */
    CHECK(sigaltstack(&stack, NULL) == 0);
}

static void send_to(const struct thread *t) {
    for (int i = 1; i <= 3; i++) {
        const union sigval value = {.sival_int = 100 * t->number + i};
        CHECK(pthread_sigqueue(t->handle, distinguishing(t->number), value) == 0);
    }
}

static void receive(const struct thread *t) {
    const struct timespec no_time = {0, 0};
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, distinguishing(t->number));
    for (int i = 1; i <= 3; i++) {
        CHECK(sigtimedwait(&set, &info, &no_time) == distinguishing(t->number));
        CHECK(info.si_value.sival_int == 100 * t->number + i && info.si_code == SI_QUEUE);
        CHECK(info.si_pid == getpid() && info.si_uid == getuid());
    }
    CHECK(sigtimedwait(&set, &info, &no_time) == -1 && errno == EAGAIN);
}

/* With a value in every register. */
static void block_with_registers(struct thread *t) {
    struct registers in, out;
    const int with = vector_level();
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    fill(in.zmm, sizeof in.zmm, (uint64_t)t->number);
    fill(in.k, sizeof in.k, (uint64_t)t->number + 20);
    fill(in.saved, sizeof in.saved, (uint64_t)t->number + 40);
    for (int i = 0; i < 3; i++) {
        const long double value = (t->number + 1) / (i + 3.0L);
        memcpy(in.x87[i], &value, 10);
    }
    in.x87_loaded = 1;
    in.mxcsr = t->number % 2 ? 0x1f80 | 0x6000 : 0x1f80 | 0x2000 | 0x8040;
    in.control_word = t->number % 2 ? 0x077f : 0x0b7f;

    const int got = call_with_registers(&in, &out, raw_wait, (const char *)&t->word, with);

    CHECK(got == 0);
    const size_t vector = with == 2 ? 64 : with == 1 ? 32 : 16;
    for (int i = 0; i < (with == 2 ? 32 : 16); i++)
        CHECK(!memcmp(in.zmm[i], out.zmm[i], vector));
    if (with == 2)
        CHECK(!memcmp(in.k, out.k, sizeof in.k));
    CHECK(!memcmp(in.saved, out.saved, sizeof in.saved));
    CHECK(in.mxcsr == out.mxcsr && in.control_word == out.control_word);
    for (int i = 0; i < 3; i++)
        CHECK(!memcmp(out.x87_saved + 28 + 10 * i, in.x87[2 - i], 10));
}

static void block_in_handler(int number) {
    struct thread *t = &threads[own_number];
    struct portrait inside;
    const char *here = __builtin_frame_address(0);
    CHECK(number == SIGUSR1);
    if (t->number % 3)
        CHECK(here > t->alternate && here < t->alternate + sizeof t->alternate);
    draw(&inside);
    CHECK(inside.alternate_flags == (t->number % 3 == 1 ? SS_ONSTACK : SS_DISABLE));
    t->inside_handler = 1;
    post(&t->ready);
    block_with_registers(t);
    check_portrait(&inside);
    t->inside_handler = 0;
}

/* The kernel keeps the number of the CPU there up to date, if it knows where. */
static void check_rseq(void) {
    if (__rseq_size == 0)
        return;
    const volatile uint32_t *cpu_id =
        (const volatile uint32_t *)((char *)__builtin_thread_pointer() + __rseq_offset + 4);
    cpu_set_t allowed, one;
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        CHECK(*cpu_id == cpu);
    }
    CHECK(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
}

static void *live(void *argument) {
    struct thread *t = argument;
    own_number = t->number;
    set_name(t->number);
    set_scheduling(t->number);
    set_signals(t);
    fill(big, sizeof big, (uint64_t)t->number);
    initialized[0] = (unsigned char)('A' + t->number);
    for (int i = 0; i < t->number; i++)
        plugin_call(0);
    t->gs = (unsigned long)&t->gs;
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, t->gs) == 0);
    CHECK(pthread_setspecific(key, t) == 0);
    if (prctl(PR_GET_TID_ADDRESS, &t->tid_address) != 0)
        t->tid_address = NULL;
    CHECK(fesetround(t->number % 2 ? FE_UPWARD : FE_DOWNWARD) == 0);
    draw(&t->portrait);

    if (t->number < THREADS / 2) {
        post(&t->ready);
        block_with_registers(t);
    } else {
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
        CHECK(!t->inside_handler);
    }

    check_portrait(&t->portrait);
    receive(t);
    CHECK(fegetround() == (t->number % 2 ? FE_UPWARD : FE_DOWNWARD));
    CHECK(intact(big, sizeof big, (uint64_t)t->number) && own_number == t->number);
    CHECK(initialized[0] == 'A' + t->number &&
          !strcmp((char *)initialized + 1, "s it is in the program"));
    CHECK(plugin_call(0) % 100 == 5 + t->number + 1);
    CHECK(pthread_getspecific(key) == t);
    unsigned long gs = 0;
    void *tid_address = NULL;
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == t->gs);
    CHECK(!t->tid_address || prctl(PR_GET_TID_ADDRESS, &tid_address) == 0);
    CHECK(tid_address == t->tid_address);
    check_rseq();
    return t;
}

/* Tids and names as /proc has them, in the order of tids. */
struct task {
    pid_t tid;
    char name[32];
};

static int by_tid(const void *a, const void *b) {
    return ((const struct task *)a)->tid - ((const struct task *)b)->tid;
}

static int list_tasks(struct task *tasks) {
    int count = 0;
    char path[300];
    DIR *directory = opendir("/proc/self/task");
    CHECK(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        CHECK(count < LIMIT);
        struct task *task = &tasks[count++];
        memset(task, 0, sizeof *task);
        task->tid = atoi(entry->d_name);
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        slurp(path, task->name, sizeof task->name);
    }
    closedir(directory);
    qsort(tasks, (size_t)count, sizeof *tasks, by_tid);
    return count;
}

static void check_tasks(void) {
    static struct task was[LIMIT], is[LIMIT];
    static int count;
    if (count == 0) {
        count = list_tasks(was);
        CHECK(count == THREADS + 1);
        return;
    }
    CHECK(list_tasks(is) == count);
    for (int i = 0; i < count; i++)
        CHECK(is[i].tid == was[i].tid && !strcmp(is[i].name, was[i].name));
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library);
    plugin_call = (int (*)(int))dlsym(library, "plugin_call");
    CHECK(plugin_call && pthread_key_create(&key, NULL) == 0);
    struct sigaction action = {.sa_handler = block_in_handler, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);

    struct portrait self;
    CHECK(prctl(PR_SET_NAME, "(main) S 1") == 0);
    draw(&self);
    for (int i = 0; i < THREADS; i++) {
        struct thread *t = &threads[i];
        t->number = i;
        CHECK(pthread_create(&t->handle, NULL, live, t) == 0);
        await(&t->ready);
        EVENTUALLY(sleeps_in(t->portrait.tid, SYS_futex));
        send_to(t);
        EVENTUALLY(sleeps_in(t->portrait.tid, SYS_futex));
    }
    check_tasks();
    check_portrait(&self);

    freeze();

    check_portrait(&self);
    check_tasks();
    check_rseq();
    for (int i = 0; i < THREADS; i++) {
        struct thread *t = &threads[i];
        void *result = NULL;
        CHECK(t->inside_handler == (i >= THREADS / 2));
        EVENTUALLY(sleeps_in(t->portrait.tid, SYS_futex));
        __atomic_store_n(&t->word, 1, __ATOMIC_SEQ_CST);
        CHECK(syscall(SYS_futex, &t->word, 129 /* FUTEX_WAKE_PRIVATE */, 1) == 1);
        CHECK(pthread_join(t->handle, &result) == 0 && result == t);
    }
    return success();
}
