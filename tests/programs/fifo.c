/*
 * fifo - checkpoints itself into "image", which may be a named pipe, once for each line of standard
 * input, and says on standard output what has come of it. Started from what was written, it checks
 * its memory and ends. With "background" in the line it does so in the background, and changes its
 * shared memory at once, long before somebody reads.
 */
#include "frozen.h"

#include <sys/mman.h>

enum { SIZE = 8 << 20, SHARED = 1 << 20 };

int main(void) {
    static char line[16];
    unsigned char *memory = malloc(SIZE);
    CHECK(memory);
    fill(memory, SIZE / 2, 1);
    unsigned char *shared =
        mmap(NULL, SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    fill(shared, SHARED, 2);
    while (read(0, line, sizeof line) > 0) {
        const int behind = line[0] == 'b';
        const struct rfork_options options = {.size = sizeof options, .flags = RFORK_BACKGROUND};
        const int outcome =
            behind ? rfork_checkpoint_with("image", &options) : rfork_checkpoint("image");
        if (outcome == CHILD) {
            frozen_role = "in the copy";
            CHECK(intact(memory, SIZE / 2, 1) && is_zero(memory + SIZE / 2, SIZE / 2));
            CHECK(intact(shared, SHARED, 2));
            return success();
        }
        if (behind)
            fill(shared, SHARED, 3);
        const char *said = outcome == PARENT ? "written" : rfork_strerror_last();
        /* Not by stdio, which leaves this and that behind. */
        CHECK(write(1, said, strlen(said)) > 0 && write(1, "\n", 1) == 1);
    }
    CHECK(intact(memory, SIZE / 2, 1));
    return success();
}
