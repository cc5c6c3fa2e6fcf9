/*
 * 5,000 mappings of alternating protection, each with bytes of its own; and read-only memory of
 * which only scattered pages hold anything, which must stay one mapping.
 */
#include "frozen.h"

#include <sys/mman.h>

enum { MAPPINGS = 5000, PAGE = 4096, SPARSE = 4000 };

static const int protections[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
                                  PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC};
static struct frozen_mapping before[3 * MAPPINGS], after[3 * MAPPINGS];

static int lines_of_maps(const char *start, const char *end) {
    static char text[4 << 20];
    int count = 0;
    slurp("/proc/self/maps", text, sizeof text);
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        unsigned long from, to;
        CHECK(sscanf(line, "%lx-%lx", &from, &to) == 2);
        count += from < (unsigned long)end && to > (unsigned long)start;
    }
    return count;
}

int main(void) {
    unsigned char *region = mmap(NULL, (size_t)MAPPINGS * 2 * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(region != MAP_FAILED);
    for (int i = 0; i < MAPPINGS; i++) {
        fill(region + (size_t)i * 2 * PAGE, PAGE + 100, (uint64_t)i);
        CHECK(mprotect(region + (size_t)i * 2 * PAGE, 2 * PAGE, protections[i % 5]) == 0);
    }
    char *sparse = mmap(NULL, (size_t)SPARSE * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(sparse != MAP_FAILED);
    for (int i = 0; i < SPARSE; i += 20)
        fill(sparse + (size_t)i * PAGE, 1000, (uint64_t)i);
    CHECK(mprotect(sparse, (size_t)SPARSE * PAGE, PROT_READ) == 0);
    const int sparse_lines = lines_of_maps(sparse, sparse + (size_t)SPARSE * PAGE);
    const int count = shape_of_memory(before, 3 * MAPPINGS);
    CHECK(count > MAPPINGS);

    freeze();

    CHECK(same_shape(before, count, after, shape_of_memory(after, 3 * MAPPINGS)));
    for (int i = 0; i < MAPPINGS; i++) {
        unsigned char *at = region + (size_t)i * 2 * PAGE;
        if (protections[i % 5] == PROT_NONE)
            CHECK(mprotect(at, 2 * PAGE, PROT_READ) == 0);
        CHECK(intact(at, PAGE + 100, (uint64_t)i) && is_zero(at + PAGE + 100, PAGE - 100));
    }
    for (int i = 0; i < SPARSE; i++)
        CHECK(i % 20 ? is_zero(sparse + (size_t)i * PAGE, PAGE)
                     : intact(sparse + (size_t)i * PAGE, 1000, (uint64_t)i));
    CHECK(lines_of_maps(sparse, sparse + (size_t)SPARSE * PAGE) == sparse_lines);
    return success();
}
