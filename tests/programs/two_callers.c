/*
 * two_callers COUNT - two threads freeze the process at the same moment, into a file each, COUNT
 * times. Both calls succeed each time, and both images run.
 *
 * One call comes after the other. In the image that the first one makes, the second thread still
 * waits for its turn: it goes on with its own call there, as the caller, and writes its file once
 * more. So in an image one of the two is told that it is the copy, and the other one that it is
 * not; or both are told that they are, if the image is that of a copy.
 */
#include "frozen_threads.h"

enum { BEFORE = 99 };

static struct caller {
    pthread_t thread;
    char path[PATH_MAX];
    struct portrait portrait;
    unsigned char bytes[1000];
    int outcome, calls;
} callers[2];

static pthread_barrier_t start, end;
static volatile int over;

static void meet(pthread_barrier_t *barrier) {
    const int got = pthread_barrier_wait(barrier);
    CHECK(got == 0 || got == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void *call(void *argument) {
    struct caller *c = argument;
    unsigned char bytes[5000];
    const uint64_t seed = (uint64_t)(c - callers);
    fill(bytes, sizeof bytes, seed);
    fill(c->bytes, sizeof c->bytes, seed + 2);
    draw(&c->portrait);
    for (;;) {
        meet(&start);
        if (over)
            return NULL;
        errno = 4000 + c->calls;
        c->outcome = freeze_into(c->path);
        CHECK(errno == 4000 + c->calls);
        c->calls++;
        check_portrait(&c->portrait);
        CHECK(intact(bytes, sizeof bytes, seed) && intact(c->bytes, sizeof c->bytes, seed + 2));
        meet(&end);
    }
}

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 10;
    snprintf(callers[0].path, sizeof callers[0].path, "%s", getenv("IMAGE"));
    snprintf(callers[1].path, sizeof callers[1].path, "%s", beside("other"));
    CHECK(pthread_barrier_init(&start, NULL, 3) == 0 && pthread_barrier_init(&end, NULL, 3) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0);

    int in_a_copy = 0;
    for (int i = 1; i <= count && !in_a_copy; i++) {
        callers[0].outcome = callers[1].outcome = BEFORE;
        meet(&start);
        meet(&end);
        CHECK(callers[0].calls == i && callers[1].calls == i);
        for (int c = 0; c < 2; c++) {
            CHECK(callers[c].outcome == PARENT || callers[c].outcome == CHILD);
            in_a_copy |= callers[c].outcome == CHILD;
        }
    }
    over = 1;
    meet(&start);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(callers[i].thread, NULL) == 0);
    if (!in_a_copy)
        run_image(callers[1].path);
    return success();
}
