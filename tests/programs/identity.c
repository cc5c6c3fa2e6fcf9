/*
 * identity A "b c" - what ps, /proc and getauxval() show of the process: arguments, environment,
 * auxiliary vector, name, working directory, umask, areas of memory.
 */
#include "frozen.h"

#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static const char *const files[] = {"/proc/self/cmdline", "/proc/self/environ", "/proc/self/auxv",
                                    "/proc/self/comm", "/proc/self/personality"};
enum { FILES = 5 };
static char before[FILES][1 << 17], after[1 << 17];

/* The fields of /proc/self/stat that tell where the areas of memory are. */
static void areas(unsigned long long (*fields)[52]) {
    static char text[4096];
    slurp("/proc/self/stat", text, sizeof text);
    char *at = strrchr(text, ')') + 2;
    memset(*fields, 0, sizeof *fields);
    for (int i = 3; i <= 51; i++) {
        unsigned long long value = strtoull(at, &at, 10);
        if (i >= 45 || (i >= 26 && i <= 28))
            (*fields)[i] = value;
        at = strchr(at, ' ') ? strchr(at, ' ') + 1 : at + strlen(at);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3 && !strcmp(argv[2], "b c"));
    static unsigned long long areas_before[52], areas_after[52];
    char cwd_before[PATH_MAX], cwd_after[PATH_MAX];
    size_t sizes[FILES];
    CHECK(mkdir("a directory", 0700) == 0 && chdir("a directory") == 0);
    CHECK(getcwd(cwd_before, sizeof cwd_before));
    umask(027);
    CHECK(setenv("ADDED", "later", 1) == 0);
    CHECK(prctl(PR_SET_NAME, "a) b (c") == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, 123456) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    unsigned char random[16];
    memcpy(random, (void *)getauxval(AT_RANDOM), 16);
    const unsigned long vdso = getauxval(AT_SYSINFO_EHDR), entry = getauxval(AT_ENTRY);
    for (int i = 0; i < FILES; i++)
        sizes[i] = slurp(files[i], before[i], sizeof before[i]);
    areas(&areas_before);

    freeze();

    for (int i = 0; i < FILES; i++) {
        const size_t size = slurp(files[i], after, sizeof after);
        if (size != sizes[i] || memcmp(before[i], after, size))
            fprintf(stderr, "%s: %zu bytes, was %zu\n", files[i], size, sizes[i]);
        CHECK(size == sizes[i] && !memcmp(before[i], after, size));
    }
    CHECK(!memcmp(before[0] + strlen(before[0]) + 1, "A\0b c", 6) || argv[1][0] != 'A');
    areas(&areas_after);
    for (int i = 0; i < 52; i++) {
        if (areas_before[i] != areas_after[i])
            fprintf(stderr, "field %d of /proc/self/stat\n", i);
        CHECK(areas_before[i] == areas_after[i]);
    }
    CHECK(!strcmp(getenv("ADDED"), "later") && !strcmp(argv[2], "b c"));
    CHECK(getauxval(AT_SYSINFO_EHDR) == vdso && getauxval(AT_ENTRY) == entry);
    CHECK(!memcmp(random, (void *)getauxval(AT_RANDOM), 16));
    CHECK(getcwd(cwd_after, sizeof cwd_after) && !strcmp(cwd_before, cwd_after));
    CHECK(umask(0) == 027);
    CHECK(prctl(PR_GET_TIMERSLACK) == 123456 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    int subreaper = 0;
    CHECK(prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper == 1);
    char name[17] = "";
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a) b (c"));
    return success();
}
