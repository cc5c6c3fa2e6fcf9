/*
 * Memory that another process writes without a pause while the image is made. What is in the image
 * of it is of many moments; but the image is whole, and can be started.
 */
#include "frozen.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

enum { SIZE = 4 << 20, COUNT = 10 };

/* Not a child: its parent is gone. */
static pid_t start_writer(volatile uint64_t *memory) {
    int ends[2];
    pid_t writer;
    CHECK(pipe(ends) == 0);
    const pid_t between = fork();
    if (between == 0) {
        writer = fork();
        if (writer == 0) {
            close(1);
            close(2);
            alarm(60); /* if nobody ends it */
            for (uint64_t n = 1;; n++)
                memory[n * 509 % (SIZE / sizeof *memory)] = n;
        }
        CHECK(write(ends[1], &writer, sizeof writer) == sizeof writer);
        _exit(0);
    }
    CHECK(between > 0 && waitpid(between, NULL, 0) == between);
    CHECK(read(ends[0], &writer, sizeof writer) == sizeof writer);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    return writer;
}

int main(void) {
    volatile uint64_t *memory = (volatile uint64_t *)mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    const pid_t writer = start_writer(memory);
    while (!memory[0]) /* it has been everywhere */
        sched_yield();
    for (int i = 0; i < COUNT; i++) {
        if (freeze() == CHILD)
            return success();
        run_image(getenv("IMAGE"));
    }
    CHECK(kill(writer, SIGKILL) == 0);
    return success();
}
