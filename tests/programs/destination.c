/*
 * destination fork HOST   rfork() to HOST, then "IMAGE PID HOST LOG" by rfork_last_copy()
 * destination move HOST   move_to(HOST)
 *
 * The copy prints "copy" and its process id.
 */
#include <rfork/rfork.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int told(void) {
    struct {
        struct rfork_copy copy;
        char behind;
    } room = {.copy = {.size = sizeof room.copy}, .behind = 'x'};
    struct rfork_copy small = {.size = sizeof small.size + sizeof small.pid};
    memset(small.image, '!', sizeof small.image);

    if (rfork_last_copy(&room.copy) != 0 || rfork_last_copy(&small) != 0)
        return fprintf(stderr, "%s\n", rfork_strerror_last()), 1;
    if (room.behind != 'x' || small.pid != room.copy.pid || small.image[0] != '!')
        return fputs("more was written than the structure has room for\n", stderr), 1;
    printf("%s %ld %s %s\n", room.copy.image, room.copy.pid, room.copy.host, room.copy.log);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return fputs("usage: destination fork|move HOST\n", stderr), 2;
    struct rfork_copy none = {.size = sizeof none}, unset = {0};
    if (rfork_last_copy(&none) != -1 || errno != ENOENT)
        return fputs("there is a copy before there is one\n", stderr), 1;
    if (rfork_last_copy(&unset) != -1 || errno != EINVAL || rfork_last_copy(NULL) != -1)
        return fputs("a structure without a size is filled in\n", stderr), 1;

    const int outcome = strcmp(argv[1], "move") == 0 ? move_to(argv[2]) : rfork(argv[2]);
    if (outcome == -1)
        return fprintf(stderr, "%s\n", rfork_strerror_last()), 1;
    if (outcome == PARENT)
        return told();
    printf("copy %ld\n", (long)getpid());
    return 0;
}
