/*
 * mover HOST FILE [child] - moves to HOST, while threads of it write numbered lines to FILE; with a
 * child, if that is said.
 *
 * A line is "THREAD NUMBER"; when every thread has written enough of them, wherever that is, the
 * last line is "end HERE|THERE". For the tests over hosts; see there.
 */
#include <rfork/rfork.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREADS = 4, ENOUGH = 3000, BALLAST = 32 << 20 };

static int file;
static unsigned char ballast[BALLAST];

static void say(const char *line, int size) {
    if (write(file, line, (size_t)size) != size)
        _exit(3);
}

static void *count(void *argument) {
    char line[32];
    for (int n = 1; n <= ENOUGH; n++) {
        say(line, snprintf(line, sizeof line, "%d %d\n", (int)(intptr_t)argument, n));
        usleep(100);
    }
    return NULL;
}

static void have_a_child(void) {
    if (fork() == 0)
        for (prctl(PR_SET_PDEATHSIG, SIGKILL);;)
            pause();
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    if (argc < 3 || (file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600)) < 0)
        return 2;
    if (argc > 3)
        have_a_child();
    for (int i = 0; i < BALLAST; i += 512) /* so that it takes a while */
        ballast[i] = (unsigned char)(i >> 9 | 1);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, count, (void *)(intptr_t)(i + 1)) != 0)
            return 2;
    usleep(50000);
    const int outcome = move_to(argv[1]);
    if (outcome < 0)
        fprintf(stderr, "mover: %s\n", rfork_strerror_last());
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (outcome == CHILD)
        say("end THERE\n", 10);
    else
        say("end HERE\n", 9);
    return outcome == CHILD ? 0 : 1;
}
