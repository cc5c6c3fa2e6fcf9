/*
 * hop HOST FILE [COUNT] - rfork() to HOST, COUNT times one after the other
 *
 * For each call the caller prints one line, "PARENT" or "-1 ERRNO: SENTENCE", and every copy
 * appends one, "child PID HOSTNAME CALL", to FILE. Both check that they are what they were before
 * the call; the caller also that no child and no descriptor of the library's stays behind.
 *
 * Exit status: 0 all calls returned PARENT, 1 some returned -1, 3 something was lost or left.
 */
#include <rfork/rfork.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HEAP = 1 << 20 };

static unsigned char *heap;
static double called; /* when */
static int calls = 0;
static int calls_mirror = 1 << 16;

static int open_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return -1;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static double clock_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const char *what_changed(const int *stack, int descriptors) {
    for (int i = 0; i < HEAP; i++)
        if (heap[i] != (unsigned char)(i * 31 + i / 4096))
            return "the heap changed";
    for (int i = 0; i < 100; i++)
        if (stack[i] != i * i)
            return "the stack changed";
    if (calls + (1 << 16) != calls_mirror)
        return "a variable changed";
    if (open_descriptors() != descriptors)
        return "there are other descriptors than before";
    if (clock_now() < called || clock_now() > called + 60)
        return "CLOCK_MONOTONIC runs backwards, or jumps";
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        return "there is a child";
    return NULL;
}

/* In one write(2), so that the lines of several copies do not mix. */
static int sign(const char *path, const char *complaint) {
    char line[600], host[256];
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    gethostname(host, sizeof host);
    int size = snprintf(line, sizeof line, "child %d %s %d%s%s\n", (int)getpid(), host, calls,
                        complaint ? " but " : "", complaint ? complaint : "");
    return file < 0 || write(file, line, (size_t)size) != size || complaint ? 3 : 0;
}

int main(int argc, char **argv) {
    int stack[100], status = 0;
    if (argc < 3)
        return 2;
    int count = argc > 3 ? atoi(argv[3]) : 1;

    heap = malloc(HEAP);
    for (int i = 0; heap && i < HEAP; i++)
        heap[i] = (unsigned char)(i * 31 + i / 4096);
    for (int i = 0; i < 100; i++)
        stack[i] = i * i;
    int descriptors = open_descriptors();

    for (int i = 0; i < count; i++) {
        calls++;
        calls_mirror++;
        called = clock_now();
        int outcome = rfork(argv[1]);
        int error = errno;
        const char *complaint = what_changed(stack, descriptors);
        if (outcome == CHILD)
            return sign(argv[2], complaint);
        if (complaint) {
            fprintf(stderr, "hop: after call %d: %s\n", calls, complaint);
            return 3;
        }
        if (outcome == PARENT) {
            puts("PARENT");
        } else {
            printf("-1 %s: %s\n", strerrorname_np(error), rfork_strerror_last());
            status = 1;
        }
        fflush(stdout);
    }
    return status;
}
