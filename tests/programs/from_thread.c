/*
 * from_thread joined|detached|after-main|handler|handler-after-main - frozen by a thread that is
 * not the main thread: one that main waits for, a detached one, one that has outlived main, which
 * has ended by pthread_exit(3), and by a signal handler on such a thread's alternate stack.
 */
#include "frozen_threads.h"

enum { SIZE = 20000 };

static struct helper {
    pthread_t thread;
    struct portrait portrait;
    sem_t begins, may_go_on, is_through;
} sleeps, spins, main_thread;
static volatile int over;

static const char *mode;
static char alternate[64 << 10];
static volatile int handled;

static int is(const char *what) {
    return !strcmp(mode, what);
}

static void *sleep_until_told(void *argument) {
    struct helper *h = argument;
    draw(&h->portrait);
    post(&h->begins);
    errno = 4001;
    CHECK(sem_wait(&h->may_go_on) == 0 && errno == 4001);
    check_portrait(&h->portrait);
    post(&h->is_through);
    return h;
}

static void *spin_until_told(void *argument) {
    struct helper *h = argument;
    uint64_t x = 1, steps = 0, again = 1;
    draw(&h->portrait);
    post(&h->begins);
    for (; !over; steps++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    for (; steps; steps--)
        again = again * 6364136223846793005u + 1442695040888963407u;
    CHECK(x == again);
    check_portrait(&h->portrait);
    post(&h->is_through);
    return h;
}

static void on_signal(int number) {
    const char *here = __builtin_frame_address(0);
    struct portrait self;
    CHECK(number == SIGUSR1 && here > alternate && here < alternate + sizeof alternate);
    draw(&self);
    CHECK(self.alternate_flags == SS_ONSTACK);
    freeze();
    check_portrait(&self);
    handled++;
}

/* Interrupted in the middle of a computation in registers. */
static void freeze_in_handler(void) {
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    double x = 0.3, y = 0.3;
    long double z = 0.3L;
    for (int i = 0; i < 1000; i++) {
        x = 3.99 * x * (1 - x);
        z = 3.99L * z * (1 - z);
        if (i == 500)
            CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    }
    long double w = 0.3L;
    for (int i = 0; i < 1000; i++) {
        y = 3.99 * y * (1 - y);
        w = 3.99L * w * (1 - w);
    }
    CHECK(x == y && z == w && handled == 1);
}

static int main_has_ended(void) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    slurp(path, text, sizeof text);
    return strstr(text, ") Z ") != NULL;
}

static void *freeze_from_here(void *argument) {
    const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    unsigned char bytes[SIZE];
    struct portrait self;
    CHECK(sigaltstack(&stack, NULL) == 0);
    CHECK(prctl(PR_SET_NAME, "freezing") == 0);
    fill(bytes, sizeof bytes, 1);
    const int outlives_main = strstr(mode, "after-main") != NULL;
    if (outlives_main)
        EVENTUALLY(main_has_ended());
    else
        EVENTUALLY(sleeps_in(main_thread.portrait.tid, SYS_futex));
    EVENTUALLY(sleeps_in(sleeps.portrait.tid, SYS_futex));
    draw(&self);

    errno = 4002;
    if (strstr(mode, "handler"))
        freeze_in_handler();
    else
        freeze();
    CHECK(errno == 4002);

    CHECK(self.tid != self.pid);
    check_portrait(&self);
    CHECK(intact(bytes, sizeof bytes, 1));
    post(&sleeps.may_go_on);
    over = 1;
    await(&sleeps.is_through);
    await(&spins.is_through);
    CHECK(pthread_join(sleeps.thread, NULL) == 0 && pthread_join(spins.thread, NULL) == 0);
    if (outlives_main) {
        void *result = NULL;
        CHECK(main_has_ended());
        CHECK(pthread_join(main_thread.thread, &result) == 0 && result == &main_thread);
        exit(success());
    }
    if (is("detached")) {
        post(&main_thread.may_go_on);
        await(&main_thread.is_through);
        exit(success());
    }
    return argument;
}

int main(int argc, char **argv) {
    mode = argc > 1 ? argv[1] : "joined";
    draw(&main_thread.portrait);
    main_thread.thread = pthread_self();
    CHECK(pthread_create(&sleeps.thread, NULL, sleep_until_told, &sleeps) == 0);
    CHECK(pthread_create(&spins.thread, NULL, spin_until_told, &spins) == 0);
    await(&sleeps.begins);
    await(&spins.begins);

    pthread_t freezes;
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    if (is("detached"))
        CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    CHECK(pthread_create(&freezes, &attributes, freeze_from_here, &main_thread) == 0);
    if (strstr(mode, "after-main"))
        pthread_exit(&main_thread);
    if (is("detached")) {
        sleep_until_told(&main_thread);
        for (;;)
            pause();
    }
    void *result = NULL;
    CHECK(pthread_join(freezes, &result) == 0 && result == &main_thread);
    check_portrait(&main_thread.portrait);
    return success();
}
