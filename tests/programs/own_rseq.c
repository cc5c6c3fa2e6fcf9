/*
 * own_rseq - restartable sequences that the calling thread has registered by itself, as libc does
 * not: after a resume the kernel keeps the number of the CPU where the program says.
 */
#include "frozen.h"

#include <sched.h>
#include <sys/syscall.h>

static __attribute__((aligned(32))) uint32_t area[8];

static void check_area(void) {
    const volatile uint32_t *cpu_id = &area[1];
    cpu_set_t allowed, one;
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        CHECK(*cpu_id == cpu);
    }
    CHECK(sched_setaffinity(0, sizeof allowed, &allowed) == 0);
}

int main(int argc, char **argv) {
    if (argc == 1) {
        CHECK(setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1) == 0);
        execl("/proc/self/exe", argv[0], "without libc's", (char *)NULL);
        CHECK(0);
    }
    if (syscall(SYS_rseq, area, sizeof area, 0, 0x12345678) != 0) {
        CHECK(errno == EINVAL || errno == ENOSYS); /* a libc that does not listen */
        puts("own_rseq: no area of its own here");
        freeze();
        return success();
    }
    freeze();
    check_area();
    CHECK(syscall(SYS_rseq, area, sizeof area, 1 /* RSEQ_FLAG_UNREGISTER */, 0x12345678) == 0);
    return success();
}
