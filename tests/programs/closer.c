/*
 * closer HOST FILE COUNT - rforks to HOST, and while it waits for the answer a SIGHUP handler of
 * its own closes all descriptors above 2, as programs do that start anew, and opens COUNT others,
 * which have to be there afterwards. Its copy appends "copy" to FILE. For the tests over hosts.
 */
#include <rfork/rfork.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int opened;

static void start_anew(int number) {
    (void)number;
    close_range(3, ~0U, 0);
    for (int i = 0; i < opened; i++)
        open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int main(int argc, char **argv) {
    if (argc < 4 || signal(SIGHUP, start_anew) == SIG_ERR)
        return 2;
    opened = atoi(argv[3]);
    const int outcome = rfork(argv[1]);
    if (outcome == CHILD) {
        const int file = open(argv[2], O_WRONLY | O_APPEND | O_CREAT, 0644);
        return write(file, "copy\n", 5) != 5;
    }
    struct stat root, status;
    stat("/", &root);
    for (int fd = 3; fd < 3 + opened; fd++)
        if (fstat(fd, &status) != 0 || status.st_ino != root.st_ino)
            printf("descriptor %d is gone\n", fd);
    if (outcome == PARENT)
        puts("PARENT");
    else
        printf("-1 %s\n", rfork_strerror_last());
    return 0;
}
