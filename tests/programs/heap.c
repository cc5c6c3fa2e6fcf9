/*
 * heap MIB - a heap of that size: half of it small blocks under brk, half one large block.
 */
#include "frozen.h"

#include <malloc.h>

enum { SMALL = 60000 };

int main(int argc, char **argv) {
    const size_t size = (size_t)(argc > 1 ? atoi(argv[1]) : 1) << 20, half = size / 2;
    const size_t blocks = half / SMALL;
    CHECK(mallopt(M_MMAP_THRESHOLD, 256 * 1024) && mallopt(M_TRIM_THRESHOLD, 64 << 20));
    unsigned char **small = malloc(blocks * sizeof *small), *large = malloc(half);
    CHECK(small && large);
    for (size_t i = 0; i < blocks; i++) {
        small[i] = malloc(SMALL);
        CHECK(small[i]);
        fill(small[i], SMALL, i);
    }
    fill(large, half, 1u << 30);

    freeze();

    CHECK(intact(large, half, 1u << 30));
    for (size_t i = 0; i < blocks; i++)
        CHECK(intact(small[i], SMALL, i));

    /* It goes on as a heap, and what is written lands where it should. */
    for (size_t i = 0; i < blocks; i += 2)
        free(small[i]);
    unsigned char *more = malloc(half + 4096);
    CHECK(more);
    memset(more, 7, 4096);
    for (size_t i = 0; i < blocks; i += 2) {
        small[i] = malloc(SMALL / 2);
        CHECK(small[i]);
        fill(small[i], SMALL / 2, i + 77);
    }
    memset(large, 9, half / 16);
    CHECK(intact(large + half / 2, 0, 0));
    for (size_t i = 0; i < blocks; i++)
        CHECK(i % 2 ? intact(small[i], SMALL, i) : intact(small[i], SMALL / 2, i + 77));
    return success();
}
