/*
 * ends HOST HOW [WORDS] - its copy on HOST says WORDS on standard error and ends: HOW is its exit
 * status, or "null" for a write through a null pointer
 */
#include <rfork/rfork.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int *volatile nowhere;

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    const int outcome = rfork(argv[1]);
    if (outcome == CHILD) {
        if (argc > 3)
            fprintf(stderr, "%s\n", argv[3]);
        if (!strcmp(argv[2], "null"))
            *nowhere = 1;
        return atoi(argv[2]);
    }
    if (outcome == PARENT)
        puts("PARENT");
    else
        puts(rfork_strerror_last());
    return outcome != PARENT;
}
