/*
 * Frozen inside signal handlers: on the normal stack, on the alternate stack, two handlers deep,
 * with an alternate stack that disarms itself; each of them returns to where it interrupted the
 * program.
 */
#include "frozen.h"

#include <signal.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static char alternate[256 * 1024];
static volatile int depth, returned, want_alternate;

static int on_the_alternate_stack(void) {
    const char *here = (const char *)__builtin_frame_address(0);
    return here > alternate && here < alternate + sizeof alternate;
}

static void inner(int number) {
    (void)number;
    depth++;
    CHECK(on_the_alternate_stack() == want_alternate);
    sigset_t mask, after;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGUSR2) && sigismember(&mask, SIGUSR1));
    freeze();
    sigprocmask(SIG_BLOCK, NULL, &after);
    CHECK(!memcmp(&mask, &after, 8));
    CHECK(on_the_alternate_stack() == want_alternate);
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0);
    CHECK(!want_alternate || stack.ss_flags == SS_ONSTACK || stack.ss_flags == SS_DISABLE);
    returned++;
}

static void outer(int number) {
    volatile double before = 1.5 * number;
    depth++;
    CHECK(raise(SIGUSR2) == 0);
    CHECK(before == 1.5 * number);
    returned++;
}

int main(int argc, char **argv) {
    const int autodisarm = argc > 1 && !strcmp(argv[1], "autodisarm");
    want_alternate = argc > 1;
    if (want_alternate) {
        const stack_t stack = {.ss_sp = alternate,
                               .ss_size = sizeof alternate,
                               .ss_flags = autodisarm ? (int)SS_AUTODISARM : 0};
        CHECK(sigaltstack(&stack, NULL) == 0);
    }
    struct sigaction action = {.sa_handler = outer, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action.sa_handler = inner;
    if (autodisarm) /* the second handler would start again at the top of the first one's stack */
        action.sa_flags = 0;
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);

    double values[8];
    for (int i = 0; i < 8; i++)
        values[i] = i / 3.0;
    CHECK(raise(SIGUSR1) == 0);
    CHECK(depth == 2 && returned == 2);
    for (int i = 0; i < 8; i++)
        CHECK(values[i] == i / 3.0);
    stack_t stack;
    sigset_t mask;
    CHECK(sigaltstack(NULL, &stack) == 0 && sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    CHECK(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
    if (want_alternate) {
        CHECK(stack.ss_sp == alternate && stack.ss_size == sizeof alternate);
        CHECK(stack.ss_flags == (autodisarm ? (int)SS_AUTODISARM : 0));
    } else {
        CHECK(stack.ss_flags == SS_DISABLE);
    }
    return success();
}
