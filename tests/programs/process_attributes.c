/*
 * process_attributes alone|threads|ended - what the kernel remembers of a process and its threads
 * because they asked for it once: memory barriers, no memory that is written and executed, merged
 * memory, capabilities kept, what belongs into a core file, who is killed first when memory runs
 * out or fails, and that the time-stamp counter is not to be read. With `ended`, the name of a main
 * thread that is no more.
 */
#include "frozen_threads.h"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

static long membarrier(int command) {
    return syscall(SYS_membarrier, command, 0, 0);
}

static int number_in(const char *path, int base) {
    char text[64];
    slurp(path, text, sizeof text);
    return (int)strtol(text, NULL, base);
}

static void write_number(const char *path, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static int tsc(void) {
    int setting = 0;
    CHECK(prctl(PR_GET_TSC, &setting) == 0);
    return setting;
}

/* Whether a child, which has it from its parent, dies of reading the counter. */
static int tsc_is_deadly(void) {
    int status = -1;
    const pid_t child = fork();
    if (child == 0) {
        __builtin_ia32_rdtsc();
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static sem_t ready, go_on;

static void *differ(void *unused) {
    CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0) == 0);
    CHECK(prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
    post(&ready);
    await(&go_on);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_LATE && tsc() == PR_TSC_ENABLE);
    return unused;
}

static int main_has_ended(void) {
    char text[1024];
    slurp("/proc/self/stat", text, sizeof text);
    return strstr(text, "no more) Z") != NULL;
}

static void *outlive_main(void *unused) {
    EVENTUALLY(main_has_ended());
    freeze();
    char name[64];
    slurp("/proc/self/comm", name, sizeof name);
    CHECK(!strcmp(name, "main, no more\n"));
    exit(success());
    return unused;
}

static int end_main(void) {
    pthread_t thread;
    CHECK(prctl(PR_SET_NAME, "main, no more") == 0);
    CHECK(pthread_create(&thread, NULL, outlive_main, NULL) == 0);
    pthread_exit(NULL);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    if (!strcmp(argv[1], "ended"))
        return end_main();
    const int threads = !strcmp(argv[1], "threads");
    const int barriers = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
                         membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
    const int syncs = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) == 0;
    const long registrations = membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS);
    const int denies = prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0;
    const int merges = prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0;
    CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    write_number("/proc/self/coredump_filter", 0x7);
    write_number("/proc/self/oom_score_adj", 321);
    CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
    pthread_t thread;
    CHECK(sem_init(&ready, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
    if (threads) {
        CHECK(pthread_create(&thread, NULL, differ, NULL) == 0);
        await(&ready);
    }
    CHECK(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);

    freeze();

    CHECK(tsc() == PR_TSC_SIGSEGV && tsc_is_deadly());
    CHECK(prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
    if (threads) {
        post(&go_on);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK(!barriers || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0);
    CHECK(!syncs || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS) == registrations);
    CHECK(prctl(PR_GET_MDWE, 0, 0, 0, 0) == (denies ? 1 : -1));
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK(!denies || mprotect(page, 4096, PROT_READ | PROT_EXEC) == -1);
    CHECK(!merges || prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 1);
    CHECK(number_in("/proc/self/coredump_filter", 16) == 0x7);
    CHECK(number_in("/proc/self/oom_score_adj", 10) == 321);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
    return success();
}
