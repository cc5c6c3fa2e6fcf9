/*
 * A limit that the program has set for itself goes along, and a stack that needs it can grow; one
 * that it has not set is that of who starts the image, also of an image that a copy has made. A
 * stack as large as the program has asked for, or a refusal.
 */
#include "frozen.h"

#include <sys/resource.h>
#include <sys/wait.h>

enum { MIB = 1 << 20, STACK = 64 * MIB };

static struct rlimit limit(int resource) {
    struct rlimit is;
    CHECK(getrlimit(resource, &is) == 0);
    return is;
}

static void set_soft(int resource, rlim_t soft) {
    struct rlimit changed = limit(resource);
    changed.rlim_cur = soft;
    CHECK(setrlimit(resource, &changed) == 0);
}

static int dig(int depth) {
    volatile char room[MIB / 4];
    room[0] = (char)depth;
    return depth == 0 ? 0 : dig(depth - 1) + room[0] - (char)depth + 1;
}

/* What who starts an image has, in the first generation and the second. */
static rlim_t surroundings(int generation) {
    return (rlim_t)(500 + generation) * MIB;
}

static void check_limits(int generation) {
    const int deep = 48 * 4;
    CHECK(limit(RLIMIT_STACK).rlim_cur == STACK && dig(deep) == deep);
    CHECK(limit(RLIMIT_NOFILE).rlim_cur == 64 && limit(RLIMIT_CORE).rlim_cur == 12345);
    CHECK(limit(RLIMIT_MSGQUEUE).rlim_cur == 1000 && limit(RLIMIT_MSGQUEUE).rlim_max == 2000);
    CHECK(generation == 0 || limit(RLIMIT_FSIZE).rlim_cur == surroundings(generation));
}

/* As somebody would who never heard of what the program has set. */
static void run_under_other_limits(const char *image, int generation) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        set_soft(RLIMIT_STACK, 8 * MIB);
        set_soft(RLIMIT_NOFILE, 256);
        set_soft(RLIMIT_CORE, limit(RLIMIT_CORE).rlim_max);
        set_soft(RLIMIT_FSIZE, surroundings(generation));
        run_image(image);
        _exit(0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void run_without_room(const char *image) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        char text[4096];
        const struct rlimit small = {8 * MIB, 32 * MIB};
        CHECK(setrlimit(RLIMIT_STACK, &small) == 0);
        const int status = output_of_image(image, text, sizeof text);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 125 && strstr(text, "ulimit -Hs"));
        _exit(0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
    char first[PATH_MAX], second[PATH_MAX];
    snprintf(first, sizeof first, "%s", beside("first"));
    snprintf(second, sizeof second, "%s", beside("second"));
    if (limit(RLIMIT_STACK).rlim_max < STACK || limit(RLIMIT_NOFILE).rlim_max < 256 ||
        limit(RLIMIT_MSGQUEUE).rlim_max < 2000 || limit(RLIMIT_CORE).rlim_max <= 12345 ||
        limit(RLIMIT_FSIZE).rlim_max < surroundings(2)) {
        puts("resource_limits: skipped: hard limits are too low here");
        return 77;
    }
    set_soft(RLIMIT_STACK, STACK);
    set_soft(RLIMIT_NOFILE, 64);
    set_soft(RLIMIT_CORE, 12345);
    const struct rlimit queue = {1000, 2000};
    CHECK(setrlimit(RLIMIT_MSGQUEUE, &queue) == 0);

    if (freeze_into(first) == CHILD) {
        check_limits(1);
        if (freeze_into(second) == CHILD)
            check_limits(2);
        return success();
    }
    check_limits(0);
    run_under_other_limits(first, 1);
    run_under_other_limits(second, 2);
    run_without_room(first);
    CHECK(unlink(first) == 0 && unlink(second) == 0);
    return success();
}
