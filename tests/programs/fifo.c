/*
 * fifo - checkpoints itself into "image", which may be a named pipe, once for each line of standard
 * input, and says on standard output what has come of it. Started from what was written, it checks
 * its memory and ends.
 */
#include "frozen.h"

enum { SIZE = 8 << 20 };

int main(void) {
    static char line[16];
    unsigned char *memory = malloc(SIZE);
    CHECK(memory);
    fill(memory, SIZE / 2, 1);
    while (read(0, line, sizeof line) > 0) {
        const int outcome = rfork_checkpoint("image");
        if (outcome == CHILD) {
            frozen_role = "in the copy";
            CHECK(intact(memory, SIZE / 2, 1) && is_zero(memory + SIZE / 2, SIZE / 2));
            return success();
        }
        const char *said = outcome == PARENT ? "written" : rfork_strerror_last();
        /* Not by stdio, which leaves this and that behind. */
        CHECK(write(1, said, strlen(said)) > 0 && write(1, "\n", 1) == 1);
    }
    CHECK(intact(memory, SIZE / 2, 1));
    return success();
}
