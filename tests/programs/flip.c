/*
 * flip FILE OFFSET BIT... - inverts bits of a file, so that twice is none; for damaged_image.test.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const int fd = argc >= 4 ? open(argv[1], O_RDWR) : -1;
    for (int i = 2; fd >= 0 && i + 1 < argc; i += 2) {
        const off_t offset = atoll(argv[i]);
        unsigned char byte;
        if (pread(fd, &byte, 1, offset) != 1)
            return 1;
        byte = (unsigned char)(byte ^ 1 << atoi(argv[i + 1]));
        if (pwrite(fd, &byte, 1, offset) != 1)
            return 1;
    }
    if (fd < 0)
        perror("flip");
    return fd < 0 || close(fd) != 0;
}
