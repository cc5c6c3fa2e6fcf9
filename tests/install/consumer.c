/* A program of somebody who has installed rfork: freezes itself, and tells which side it is. */
#include <rfork/rfork.h>
#include <stdio.h>

int main(int argc, char **argv) {
    const char *numbers = "one two three";
    int side = argc == 2 ? rfork_checkpoint(argv[1]) : -1;
    if (side < 0) {
        fprintf(stderr, "consumer: %s\n", rfork_strerror_last());
        return 1;
    }
    printf("%s %s\n", side == PARENT ? "PARENT" : "CHILD", numbers);
    return move_to("") == -1 && *rfork_strerror_last() ? 0 : 1;
}
