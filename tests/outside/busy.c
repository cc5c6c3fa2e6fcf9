/*
 * busy MILLISECONDS [fork FILE] - sixteen threads that work on 64 MiB, and check that it is what they
 * have made of it. At SIGTERM, or when the time is over, it prints "BLOCKS in MS: unharmed": how many
 * blocks of memory have been worked through.
 *
 *   fork FILE   at each SIGUSR1 it makes a child that writes the same memory into FILE, which is
 *               what a freeze is compared with; "ready" again when that has ended
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 16, SIZE = 64 << 20, SHARE = SIZE / THREADS, BLOCK = 4096 };
enum { WORDS = BLOCK / sizeof(uint64_t), BLOCKS = SHARE / BLOCK };

static uint64_t (*memory)[BLOCKS][WORDS];
static atomic_long done[THREADS];
static atomic_int stops;

static void say(const char* text) {
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(1);
}

/* Each block has its number of rounds in every word, mixed with its place. */
static void work_on(uint64_t* block, uint64_t place, uint64_t round) {
    for (uint64_t i = 0; i < WORDS; i++) {
        if (block[i] != (round ? round * 0x9e3779b97f4a7c15 ^ (place + i) : 0)) {
            say("HARMED: memory has changed\n");
            _exit(1);
        }
        block[i] = (round + 1) * 0x9e3779b97f4a7c15 ^ (place + i);
    }
}

static void* work(void* argument) {
    const uintptr_t me = (uintptr_t)argument;
    for (uint64_t round = 0;; round++)
        for (unsigned b = 0; b < BLOCKS; b++) {
            /* Some work beside the memory, as programs have. */
            uint64_t mixed = round;
            for (int i = 0; i < 2000; i++)
                mixed = mixed * 6364136223846793005 + 1442695040888963407;
            work_on(memory[me][b], me * SHARE + b * BLOCK + (mixed & 0), round);
            atomic_fetch_add_explicit(&done[me], 1, memory_order_relaxed);
            if (stops)
                return NULL;
        }
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000 + t.tv_nsec / 1000000;
}

static void write_all(const char* file) {
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const char* from = (const char*)memory;
    for (size_t at = 0; fd >= 0 && at < SIZE;) {
        const ssize_t written = write(fd, from + at, SIZE - at);
        if (written <= 0)
            _exit(1);
        at += (size_t)written;
    }
    _exit(fd < 0);
}

static void fork_and_write(const char* file) {
    int status = 1;
    const pid_t child = fork();
    if (child == 0)
        write_all(file);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        say("HARMED: a child could not write\n");
        _exit(1);
    }
    say("ready\n");
}

int main(int argc, char** argv) {
    pthread_t threads[THREADS];
    sigset_t told;
    if (argc != 2 && argc != 4)
        return 2;
    sigemptyset(&told);
    sigaddset(&told, SIGTERM);
    sigaddset(&told, SIGUSR1);
    sigprocmask(SIG_BLOCK, &told, NULL);
    memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    memset(memory, 0, SIZE);
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void*)i) != 0)
            return 1;
    const int64_t begun = now_ms(), due = begun + atol(argv[1]);
    say("ready\n");
    for (int64_t left; (left = due - now_ms()) > 0;) {
        const struct timespec time = {left / 1000, left % 1000 * 1000000};
        const int signal = sigtimedwait(&told, NULL, &time);
        if (signal == SIGTERM)
            break;
        if (signal == SIGUSR1 && argc == 4)
            fork_and_write(argv[3]);
    }
    long blocks = 0;
    const int64_t took = now_ms() - begun;
    for (int i = 0; i < THREADS; i++)
        blocks += done[i];
    stops = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%ld in %ld: unharmed\n", blocks, (long)took);
    return 0;
}
