/*
 * chain COUNT - frozen again and again, each time by what the image before has brought back: each
 * generation verifies itself, freezes itself into the same file name, and executes that.
 *
 * Nothing may accumulate: the memory of the last generation lies where that of the first did, is
 * not larger, and neither is the file.
 */
#include "frozen.h"

#include <sys/stat.h>

enum { SIZE = 1 << 20, LINES = 1000 };

static struct frozen_mapping first[LINES], last[LINES];
static int first_count, first_lines, generation;
static unsigned char data[100000];
static off_t first_size;
static long first_virtual, first_resident;

static int lines_of_maps(void) {
    static char text[1 << 18];
    int count = 0;
    slurp("/proc/self/maps", text, sizeof text);
    for (char *line = text; *line; line = strchr(line, '\n') + 1)
        count++;
    return count;
}

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 100;
    unsigned char *heap = malloc(SIZE), stack[10000];
    CHECK(heap);
    fill(heap, SIZE, 1);
    fill(stack, sizeof stack, 2);
    fill(data, sizeof data, 3);
    volatile double sum = 0;
    for (int i = 0; i < 2; i++) /* malloc makes up its mind where such blocks go */
        free(malloc(300000));

    for (generation = 1; generation <= count; generation++) {
        sum += 1.0 / generation;
        if (freeze() == PARENT) {
            char *const arguments[] = {(char *)"image", NULL}, *const environment[] = {NULL};
            execve(getenv("IMAGE"), arguments, environment);
            CHECK(!"execve");
        }
        struct stat st;
        CHECK(stat(getenv("IMAGE"), &st) == 0);
        CHECK(intact(heap, SIZE, 1) && intact(stack, sizeof stack, 2) &&
              intact(data, sizeof data, 3));
        memset(heap, 0,
               SIZE); /* changes all of it, so that pages of the image do not simply stay */
        fill(heap, SIZE, 1);
        free(malloc(300000));
        if (generation == 1) {
            first_count = shape_of_memory(first, LINES);
            first_lines = lines_of_maps();
            first_size = st.st_size;
            first_virtual = status_number("VmSize");
            first_resident = status_number("VmRSS");
            continue;
        }
        CHECK(lines_of_maps() == first_lines);
        CHECK(same_shape(first, first_count, last, shape_of_memory(last, LINES)));
        CHECK(status_number("VmSize") == first_virtual);
        CHECK(status_number("VmRSS") < first_resident + 1024);
        CHECK(st.st_size < first_size + (64 << 10));
    }
    double expected = 0;
    for (int i = 1; i <= count; i++)
        expected += 1.0 / i;
    CHECK(sum == expected);
    printf("note: %d generations, %ld KiB resident, image of %ld KiB\n", count,
           status_number("VmRSS"), (long)first_size / 1024);
    return success();
}
