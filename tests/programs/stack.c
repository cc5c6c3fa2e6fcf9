/*
 * The main stack: deep when frozen, it grows by 4 MiB more after the resume, and it still keeps its
 * distance from what is mapped below it.
 */
#include "frozen.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char alternate[64 * 1024];
static char *obstacle;

/* Uses 4 KiB and more a level, and sees on the way back whether the frames are intact. */
__attribute__((noinline)) static unsigned recurse(int depth, void (*at_bottom)(void)) {
    volatile unsigned char frame[4096];
    fill((void *)frame, sizeof frame, (uint64_t)depth);
    unsigned below = 0;
    if (depth > 0)
        below = recurse(depth - 1, at_bottom);
    else if (at_bottom)
        at_bottom();
    CHECK(intact((void *)frame, sizeof frame, (uint64_t)depth));
    return below + 1;
}

static void freeze_here(void) {
    freeze();
}

static void on_fault(int number, siginfo_t *info, void *context) {
    const long distance = (char *)info->si_addr - (obstacle + 4096);
    (void)number, (void)context;
    _exit(distance >= 1000 << 10 && distance <= (1 << 20) + 8192 ? 0 : 3);
}

int main(void) {
    CHECK(recurse(300, freeze_here) == 301);
    CHECK(recurse(1024, NULL) == 1025);
    CHECK(strstr(smaps_field(__builtin_frame_address(0), "VmFlags:"), " gd "));

    /* An obstacle 2 MiB below the stack: growth stops at the guard gap, 1 MiB before it. */
    const pid_t child = fork();
    if (child == 0) {
        unsigned long start = 0, end = 0;
        static char text[1 << 16];
        slurp("/proc/self/maps", text, sizeof text);
        for (char *line = text; *line; line = strchr(line, '\n') + 1)
            if (sscanf(line, "%lx-%lx", &start, &end) == 2 && (unsigned long)&child >= start &&
                (unsigned long)&child < end)
                break;
        obstacle = mmap((void *)(start - (2 << 20)), 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
        const struct sigaction action = {.sa_sigaction = on_fault,
                                         .sa_flags = SA_SIGINFO | SA_ONSTACK};
        if (obstacle == MAP_FAILED || sigaltstack(&stack, NULL) ||
            sigaction(SIGSEGV, &action, NULL))
            _exit(4);
        recurse(1900, NULL);
        _exit(5);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (status)
        fprintf(stderr, "status %x\n", (unsigned)status);
    CHECK(status == 0);
    return success();
}
