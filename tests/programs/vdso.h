/*
 * The functions of the vDSO as any program finds them when it starts, and whether they are right:
 * compared with the system calls of the same name, which every kernel has. A function that was not
 * there at the start is not checked; libc's is, which then made the system call from the beginning.
 */
#ifndef VDSO_H
#define VDSO_H

#include "frozen.h"

#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static struct {
    int (*clock_gettime)(clockid_t, struct timespec *);
    int (*clock_getres)(clockid_t, struct timespec *);
    int (*gettimeofday)(struct timeval *, void *);
    time_t (*time)(time_t *);
    int (*getcpu)(unsigned *, unsigned *, void *);
    ssize_t (*getrandom)(void *, size_t, unsigned, void *, size_t);
} vdso;

static void *vdso_function(const char *name) {
    const unsigned char *base = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
    if (!base)
        return NULL;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *segment = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    for (int i = 0; i < header->e_phnum; i++)
        if (segment[i].p_type == PT_DYNAMIC)
            dynamic = (const Elf64_Dyn *)(base + segment[i].p_offset);
    const Elf64_Sym *symbols = NULL;
    const char *names = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_SYMTAB)
            symbols = (const Elf64_Sym *)(base + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_STRTAB)
            names = (const char *)base + dynamic->d_un.d_ptr;
    }
    CHECK(symbols && (const char *)symbols < names); /* the one table ends where the next begins */
    for (const Elf64_Sym *s = symbols; (const char *)(s + 1) <= names; s++)
        if (!strcmp(names + s->st_name, name))
            return (void *)(uintptr_t)(base + s->st_value);
    return NULL;
}

static void find_vdso_functions(void) {
    *(void **)&vdso.clock_gettime = vdso_function("__vdso_clock_gettime");
    *(void **)&vdso.clock_getres = vdso_function("__vdso_clock_getres");
    *(void **)&vdso.gettimeofday = vdso_function("__vdso_gettimeofday");
    *(void **)&vdso.time = vdso_function("__vdso_time");
    *(void **)&vdso.getcpu = vdso_function("__vdso_getcpu");
    *(void **)&vdso.getrandom = vdso_function("__vdso_getrandom");
}

static int64_t nanoseconds(struct timespec t) {
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t kernel_clock(clockid_t clock) {
    struct timespec t;
    CHECK(syscall(SYS_clock_gettime, clock, &t) == 0);
    return nanoseconds(t);
}

static void check_clock(clockid_t clock) {
    struct timespec own, libc;
    const int64_t before = kernel_clock(clock);
    CHECK((vdso.clock_gettime ? vdso.clock_gettime : clock_gettime)(clock, &own) == 0);
    CHECK(clock_gettime(clock, &libc) == 0);
    const int64_t after = kernel_clock(clock);
    CHECK(before <= nanoseconds(own) && nanoseconds(own) <= nanoseconds(libc));
    CHECK(nanoseconds(libc) <= after);
}

/* An older kernel's clock_getres is in no vDSO. */
static void check_resolution(clockid_t clock) {
    struct timespec kernels, own, libc;
    CHECK(syscall(SYS_clock_getres, clock, &kernels) == 0);
    CHECK(clock_getres(clock, &libc) == 0);
    CHECK(nanoseconds(libc) == nanoseconds(kernels));
    if (!vdso.clock_getres)
        return;
    CHECK(vdso.clock_getres(clock, &own) == 0);
    CHECK(nanoseconds(own) == nanoseconds(kernels));
}

/* A second may begin between two calls, or have begun for one clock only; then they are made again.
 */
static void check_seconds(void) {
    const int64_t start = kernel_clock(CLOCK_MONOTONIC);
    for (;;) {
        CHECK(kernel_clock(CLOCK_MONOTONIC) < start + INT64_C(10000000000));
        struct timeval own, libc;
        time_t stored = 0;
        const int64_t before = kernel_clock(CLOCK_REALTIME_COARSE);
        const time_t seconds = (vdso.time ? vdso.time : time)(&stored), libc_seconds = time(NULL);
        CHECK((vdso.gettimeofday ? vdso.gettimeofday : gettimeofday)(&own, NULL) == 0);
        CHECK(gettimeofday(&libc, NULL) == 0);
        const int64_t after = kernel_clock(CLOCK_REALTIME);
        if (before / 1000000000 != after / 1000000000)
            continue;
        CHECK(seconds == before / 1000000000 && seconds == stored && seconds == libc_seconds);
        const int64_t microseconds = own.tv_sec * INT64_C(1000000) + own.tv_usec;
        CHECK(before / 1000 <= microseconds && microseconds <= after / 1000);
        CHECK(timercmp(&own, &libc, <=) && libc.tv_sec == seconds);
        return;
    }
}

static void check_cpu(void) {
    unsigned own, node, kernels, kernels_node;
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        CHECK(sched_getcpu() == cpu);
        CHECK(syscall(SYS_getcpu, &kernels, &kernels_node, NULL) == 0);
        CHECK(kernels == (unsigned)cpu);
        if (vdso.getcpu)
            CHECK(vdso.getcpu(&own, &node, NULL) == 0 && own == kernels && node == kernels_node);
    }
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

/* Without a state it is the system call; what a state has to be like, vdso.c asks. */
static void check_random(void) {
    static unsigned char last[32], now[32];
    if (!vdso.getrandom)
        return;
    CHECK(vdso.getrandom(now, sizeof now, 0, NULL, 0) == sizeof now);
    CHECK(memcmp(now, last, sizeof now) != 0);
    memcpy(last, now, sizeof now);
}

static void check_vdso(void) {
    for (unsigned i = 0; i < 1000; i++) {
        static const clockid_t clocks[] = {CLOCK_REALTIME,          CLOCK_MONOTONIC,
                                           CLOCK_BOOTTIME,          CLOCK_MONOTONIC_RAW,
                                           CLOCK_REALTIME_COARSE,   CLOCK_MONOTONIC_COARSE,
                                           CLOCK_PROCESS_CPUTIME_ID};
        check_clock(clocks[i % (sizeof clocks / sizeof clocks[0])]);
    }
    if (vdso.clock_gettime)
        CHECK(vdso.clock_gettime((clockid_t)1000, &(struct timespec){0, 0}) == -EINVAL);
    CHECK(clock_gettime((clockid_t)1000, &(struct timespec){0, 0}) == -1 && errno == EINVAL);
    check_resolution(CLOCK_REALTIME);
    check_resolution(CLOCK_MONOTONIC_COARSE);
    check_seconds();
    check_cpu();
    check_random();
}

#endif
