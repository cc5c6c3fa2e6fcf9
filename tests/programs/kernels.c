/*
 * kernels IMAGE... - from kernel to kernel: freezes itself into the first file; what is resumed
 * from that, wherever it is, freezes itself into the second, and so on. Everyone verifies itself.
 *
 * The program's vDSO is the running kernel's where that is the one the program was started under,
 * and a redirected one everywhere else; where it was started without one, it stays without.
 */
#include "vdso.h"

#include <sys/utsname.h>

enum { SIZE = 1 << 20 };

static struct utsname first;

static int is_first_kernel(const struct utsname *here) {
    return !strcmp(here->release, first.release) && !strcmp(here->version, first.version);
}

static int has_kernels_own_vdso(void) {
    static char text[1 << 18], line[64];
    slurp("/proc/self/maps", text, sizeof text);
    snprintf(line, sizeof line, "%lx-", getauxval(AT_SYSINFO_EHDR));
    for (char *at = text, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        if (!strncmp(at, line, strlen(line)))
            return end - at > 6 && !strncmp(end - 6, "[vdso]", 6);
    }
    return 0;
}

int main(int argc, char **argv) {
    static unsigned char data[100000];
    unsigned char *heap = malloc(SIZE), stack[10000];
    CHECK(heap && uname(&first) == 0);
    fill(heap, SIZE, 1);
    fill(stack, sizeof stack, 2);
    fill(data, sizeof data, 3);
    find_vdso_functions();
    volatile double third = 1.0 / 3;
    check_vdso();

    for (int i = 1; i < argc || i == 1; i++) {
        const int outcome = argc > 1 ? rfork_checkpoint(argv[i]) : freeze();
        if (outcome < 0)
            fprintf(stderr, "rfork_checkpoint: %s\n", rfork_strerror_last());
        CHECK(outcome == PARENT || outcome == CHILD);
        frozen_role = outcome == PARENT ? "in the caller" : "in the copy";
        CHECK(intact(heap, SIZE, 1) && intact(stack, sizeof stack, 2));
        CHECK(intact(data, sizeof data, 3));
        CHECK(third * 3 == 1);
        check_vdso();
        if (outcome == PARENT)
            return success();

        struct utsname here;
        CHECK(uname(&here) == 0);
        const int has_one = getauxval(AT_SYSINFO_EHDR) != 0;
        CHECK(has_kernels_own_vdso() == (has_one && is_first_kernel(&here)));
        printf("note: started under %s, now under %s, %s\n", first.release, here.release,
               !has_one                 ? "without a vDSO"
               : has_kernels_own_vdso() ? "with its vDSO"
                                        : "redirected");
        fill(heap, SIZE, 1); /* so that pages of the image do not simply stay */
    }
    return success();
}
