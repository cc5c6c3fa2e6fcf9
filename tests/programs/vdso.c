/*
 * vdso OTHER-KERNEL - started under one kernel, resumed under another, and a third, and home again.
 *
 * There is only one kernel here; OTHER-KERNEL changes an image so that its stub has to think
 * otherwise. Each generation verifies its vDSO, freezes itself into the same file name and executes
 * that.
 *
 *   1     home: where everything is, is noted
 *   2     away
 *   3, 4  away, where clock_getres is unknown, which is to say -ENOSYS and let libc do without
 *   5     home: everything is where it was
 *   6     away
 */
#include "vdso.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { LINES = 1000, GENERATIONS = 6 };

static struct frozen_mapping home[LINES], away[LINES], now[LINES];
static int home_count, away_count, now_count, home_lines, away_lines, generation;
static int works_without_system_calls;
static void *random_state;
static size_t random_state_size;

static int is_away(void) {
    return generation != 1 && generation != 5;
}

static int lines_of_maps(void) {
    static char text[1 << 18];
    int count = 0;
    slurp("/proc/self/maps", text, sizeof text);
    for (char *line = text; *line; line = strchr(line, '\n') + 1)
        count++;
    return count;
}

/* Whether clocks and CPU number come without a system call: a child makes none, or dies. */
static int without_system_calls(void) {
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
        struct sock_fprog program = {sizeof code / sizeof code[0], code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(2);
        struct timespec t;
        struct timeval v;
        unsigned cpu, node;
        const int right = vdso.clock_gettime(CLOCK_MONOTONIC, &t) == 0 &&
                          clock_gettime(CLOCK_REALTIME, &t) == 0 && gettimeofday(&v, NULL) == 0 &&
                          vdso.time(NULL) > 0 && vdso.getcpu(&cpu, &node, NULL) == 0;
        _exit(right ? 0 : 3);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 3);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* As libc does from 2.41 on. */
static void ask_for_random_state(void) {
    struct {
        uint32_t size, prot, flags, reserved[13];
    } wanted;
    if (!vdso.getrandom || vdso.getrandom(NULL, 0, 0, &wanted, ~(size_t)0) != 0)
        return;
    random_state = mmap(NULL, 4096, (int)wanted.prot, (int)wanted.flags, -1, 0);
    CHECK(random_state != MAP_FAILED);
    random_state_size = wanted.size;
}

static void check_random_state(void) {
    static unsigned char last[64], bytes[64];
    if (!random_state)
        return;
    for (int i = 0; i < 2; i++) {
        CHECK(vdso.getrandom(bytes, sizeof bytes, 0, random_state, random_state_size) ==
              sizeof bytes);
        CHECK(memcmp(bytes, last, sizeof bytes) != 0);
        memcpy(last, bytes, sizeof bytes);
    }
}

/* The line of /proc/self/maps with the kernel's own vDSO, and the one with the program's. */
static void check_places(void) {
    static char text[1 << 18];
    const unsigned long address = (unsigned long)getauxval(AT_SYSINFO_EHDR);
    int kernels = 0, programs = 0;
    slurp("/proc/self/maps", text, sizeof text);
    for (char *line = text, *end; *line; line = end + 1) {
        unsigned long start, stop;
        char permissions[5];
        end = strchr(line, '\n');
        CHECK(sscanf(line, "%lx-%lx %4s", &start, &stop, permissions) == 3);
        const int holds = start <= address && address < stop;
        const int named = end - line > 6 && !strncmp(end - 6, "[vdso]", 6);
        kernels += named;
        programs += holds;
        CHECK(!holds || !strcmp(permissions, "r-xp"));
        CHECK(!holds || named == !is_away());
        CHECK(!named || (start == address) == !is_away());
    }
    CHECK(kernels == 1 && programs == 1);
}

/* Whatever the program maps, the places of the vDSO's data stay free for their return. */
static void check_places_are_kept(void) {
    char *const vdso_start = (char *)getauxval(AT_SYSINFO_EHDR);
    for (int pages = 1; pages <= 4; pages++) {
        char *const wanted = vdso_start - pages * 4096L;
        char *const got = mmap(wanted, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(got != MAP_FAILED && got != wanted);
        CHECK(munmap(got, 4096) == 0);
    }
}

static void check_nothing_piles_up(void) {
    now_count = shape_of_memory(now, LINES);
    if (generation == 1) {
        memcpy(home, now, sizeof now);
        home_count = now_count;
        home_lines = lines_of_maps();
    } else if (generation == 2) {
        memcpy(away, now, sizeof now);
        away_count = now_count;
        away_lines = lines_of_maps();
    } else if (is_away()) {
        CHECK(same_shape(away, away_count, now, now_count) && lines_of_maps() == away_lines);
    } else {
        CHECK(same_shape(home, home_count, now, now_count) && lines_of_maps() == home_lines);
    }
}

static void run(const char *a, const char *b, const char *c) {
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(a, a, b, c, NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    find_vdso_functions();
    CHECK(vdso.clock_gettime && vdso.gettimeofday && vdso.time && vdso.getcpu);
    ask_for_random_state();
    check_vdso();
    check_random_state();
    works_without_system_calls = without_system_calls();
    int (*const resolution)(clockid_t, struct timespec *) = vdso.clock_getres;

    while (generation < GENERATIONS) {
        generation++;
        if (freeze() == PARENT) {
            if (is_away())
                run(argv[1], getenv("IMAGE"), generation == 3 ? "clock_getres" : NULL);
            char *const arguments[] = {(char *)"image", NULL}, *const environment[] = {NULL};
            execve(getenv("IMAGE"), arguments, environment);
            CHECK(!"execve");
        }
        check_places();
        check_places_are_kept();
        vdso.clock_getres = generation == 3 || generation == 4 ? NULL : resolution;
        if (!vdso.clock_getres && resolution)
            CHECK(resolution(CLOCK_REALTIME, &(struct timespec){0, 0}) == -ENOSYS);
        check_vdso();
        check_random_state();
        CHECK(without_system_calls() == works_without_system_calls);
        check_nothing_piles_up();
    }
    printf("note: clocks %s system calls; getrandom %s\n",
           works_without_system_calls ? "without" : "by",
           random_state ? "with a state" : "is not in this vDSO");
    return success();
}
