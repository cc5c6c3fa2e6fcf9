/*
 * A terabyte reserved and never touched, as sanitizers, Go and JVMs do it, and a terabyte that may
 * be written without having been promised, with three pages in it: neither takes room in the image,
 * and both are there again afterwards.
 */
#include "frozen.h"

#include <sys/mman.h>
#include <sys/stat.h>

static const size_t TERA = (size_t)1 << 40;
static struct frozen_mapping before[1000], after[1000];

int main(void) {
    char *reserved =
        mmap(NULL, TERA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *sparse = mmap(NULL, TERA, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(reserved != MAP_FAILED && sparse != MAP_FAILED);
    const size_t places[] = {0, (size_t)5 << 30, TERA / 2 + 4096 * 17, TERA - 4096};
    for (size_t i = 0; i < 4; i++)
        fill(sparse + places[i], 4096, i);
    const char zero =
        *(volatile char *)(sparse + ((size_t)100 << 30)); /* the zero page, only read */
    CHECK(zero == 0);

    /* A page in the reservation that was used and closed again. */
    CHECK(mprotect(reserved + TERA / 4, 4096, PROT_READ | PROT_WRITE) == 0);
    fill(reserved + TERA / 4, 4096, 7);
    CHECK(mprotect(reserved + TERA / 4, 4096, PROT_NONE) == 0);
    const int count = shape_of_memory(before, 1000);

    if (freeze() == PARENT) {
        struct stat st;
        CHECK(stat(getenv("IMAGE"), &st) == 0 && st.st_size < 8 << 20);
    }

    CHECK(same_shape(before, count, after, shape_of_memory(after, 1000)));
    CHECK(strstr(smaps_field(reserved, "VmFlags:"), " nr "));
    CHECK(strstr(smaps_field(sparse, "VmFlags:"), " nr "));
    for (size_t i = 0; i < 4; i++)
        CHECK(intact(sparse + places[i], 4096, i));
    CHECK(is_zero(sparse + ((size_t)100 << 30), 1 << 20));
    CHECK(mprotect(reserved + TERA / 4, 4096, PROT_READ) == 0);
    CHECK(intact(reserved + TERA / 4, 4096, 7));
    fill(sparse + ((size_t)200 << 30), 4096, 9);
    CHECK(mprotect(reserved + TERA / 8, 1 << 20, PROT_READ | PROT_WRITE) == 0);
    fill(reserved + TERA / 8, 1 << 20, 10);
    CHECK(intact(reserved + TERA / 8, 1 << 20, 10));
    CHECK(status_number("VmRSS") < 64 << 10);
    return success();
}
