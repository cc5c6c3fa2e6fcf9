/*
 * on_terminal PROGRAM [ARGUMENT...] - runs PROGRAM as a shell in a terminal would: descriptors 0, 1
 * and 2 are the same open file, a terminal. Copies what it writes to standard output.
 */
#define _XOPEN_SOURCE 600
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char buffer[4096];
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (argc < 2 || master < 0 || grantpt(master) || unlockpt(master)) {
        perror("on_terminal");
        return 77;
    }
    struct termios settings;
    tcgetattr(master, &settings);
    settings.c_oflag &= ~(tcflag_t)OPOST;
    settings.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(master, TCSANOW, &settings);
    const pid_t child = fork();
    if (child == 0) {
        setsid();
        const int slave = open(ptsname(master), O_RDWR);
        for (int fd = 0; fd < 3; fd++)
            dup2(slave, fd);
        if (slave > 2)
            close(slave);
        execv(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    if (write(master, "typed\n", 6) != 6)
        perror("on_terminal");
    for (ssize_t got; (got = read(master, buffer, sizeof buffer)) > 0;)
        if (write(1, buffer, (size_t)got) != got)
            break;
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
