/*
 * lingering HOST FILE [MIB] - a program goes to HOST and stays there until FILE.go is there; it has
 * two threads, or one and so much memory that is not zero
 *
 * The caller prints "PARENT" or "-1 ERRNO: SENTENCE"; the copy appends "here PID" to FILE when it
 * has arrived, and "gone PID" before it ends.
 *
 * Installed set-user-ID it first gives up, for good, whoever called it.
 */
#include <rfork/rfork.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int counter;

static void *count(void *unused) {
    for (;; usleep(1000))
        counter++;
    return unused;
}

static void sign(const char *path, const char *word) {
    char line[100];
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    int size = snprintf(line, sizeof line, "%s %d\n", word, (int)getpid());
    if (file < 0 || write(file, line, (size_t)size) != size)
        _exit(4);
    close(file);
}

int main(int argc, char **argv) {
    pthread_t thread;
    char go[4096];
    if (argc < 3)
        return 2;
    size_t size = argc > 3 ? (size_t)atoi(argv[3]) << 20 : 0;
    unsigned char *memory = malloc(size + 1);
    if (memory)
        memset(memory, 7, size + 1);
    if (getuid() != geteuid() && setresuid(geteuid(), geteuid(), geteuid()) != 0)
        return 2;
    if (argc == 3)
        pthread_create(&thread, NULL, count, NULL);
    int outcome = rfork(argv[1]);
    if (outcome == PARENT)
        return puts("PARENT"), 0;
    if (outcome == -1)
        return printf("-1 %s: %s\n", strerrorname_np(errno), rfork_strerror_last()), 1;

    sign(argv[2], memory[size / 2] == 7 ? "here" : "damaged");
    snprintf(go, sizeof go, "%s.go", argv[2]);
    int before = counter;
    while (access(go, F_OK) != 0)
        usleep(10000);
    sign(argv[2], argc > 3 || counter != before ? "gone" : "stuck");
    return 0;
}
