/*
 * moving HOST FILE - rfork_move() to HOST of a program with two threads
 *
 * Whoever goes on appends one line to FILE, "child PID HOSTNAME" there or "stayed PID HOSTNAME" here,
 * with " but ..." behind it if anything is not what it was; who stays also prints "-1 ERRNO: SENTENCE".
 * Meanwhile the other thread appends the name of the host on which it runs to FILE.ticks: there the
 * one name never stands behind the other.
 */
#include <rfork/rfork.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAP = 1 << 20 };

static unsigned char *heap;
static int ticks;

static void *tick(void *unused) {
    char host[65];
    for (;; usleep(1000)) {
        gethostname(host, sizeof host - 1);
        strcat(host, "\n");
        if (write(ticks, host, strlen(host)) < 0)
            _exit(4);
    }
    return unused;
}

static const char *what_changed(const int *stack) {
    for (int i = 0; i < HEAP; i++)
        if (heap[i] != (unsigned char)(i * 37 + i / 4096))
            return " but the heap changed";
    for (int i = 0; i < 100; i++)
        if (stack[i] != i * i)
            return " but the stack changed";
    return "";
}

static int sign(const char *path, const char *word, const char *complaint) {
    char line[300], host[65];
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    gethostname(host, sizeof host);
    int size = snprintf(line, sizeof line, "%s %d %s%s\n", word, (int)getpid(), host, complaint);
    return file < 0 || write(file, line, (size_t)size) != size || *complaint ? 3 : 0;
}

int main(int argc, char **argv) {
    int stack[100];
    char path[4096];
    pthread_t thread;
    if (argc != 3)
        return 2;
    heap = malloc(HEAP);
    for (int i = 0; heap && i < HEAP; i++)
        heap[i] = (unsigned char)(i * 37 + i / 4096);
    for (int i = 0; i < 100; i++)
        stack[i] = i * i;
    snprintf(path, sizeof path, "%s.ticks", argv[2]);
    ticks = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (ticks < 0 || pthread_create(&thread, NULL, tick, NULL) != 0)
        return 2;

    int outcome = rfork_move(argv[1]);
    int error = errno;
    if (outcome == 0) {
        usleep(20000); /* so that the other thread has its say */
        return sign(argv[2], "child", what_changed(stack));
    }
    printf("-1 %s: %s\n", strerrorname_np(error), rfork_strerror_last());
    fflush(stdout);
    return sign(argv[2], "stayed", what_changed(stack)) ? 3 : 1;
}
