/* librfork-preload.so: rfork run --preload starts programs with it where nobody may trace them. At a
 * signal the program freezes itself, by rfork_checkpoint(3), from the signal's handler. No function of
 * libc is replaced, so nothing is added to any call.
 *
 * RFORK_PRELOAD is "<signal>:<path>", path being the image's; what comes of it is told in a named pipe
 * beside it, "<path>.answer", if somebody reads there: "done", or why not. */
#define RFORK_NO_SHORT_NAMES
#include "rfork/rfork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char answer_suffix[] = ".answer";
static char image[PATH_MAX], answer[PATH_MAX + sizeof answer_suffix];

static void tell(const char* what) {
    const int fd = open(answer, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    ssize_t told = write(fd, what, strlen(what));
    told += write(fd, "\n", 1);
    (void)told;
    close(fd);
}

static void freeze(int signal) {
    const int before = errno;
    const int outcome = rfork_checkpoint(image);
    (void)signal;
    if (outcome != RFORK_CHILD)
        tell(outcome == RFORK_PARENT ? "done" : rfork_strerror_last());
    errno = before;
}

__attribute__((constructor)) static void begin(void) {
    const char* setting = secure_getenv("RFORK_PRELOAD");
    char* path = NULL;
    const long number = setting ? strtol(setting, &path, 10) : 0;
    struct sigaction action;
    if (number < 1 || number > SIGRTMAX || *path != ':' || strlen(path + 1) >= sizeof image)
        return;
    strcpy(image, path + 1);
    strcat(strcpy(answer, image), answer_suffix);
    memset(&action, 0, sizeof action);
    action.sa_handler = freeze;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    sigaction((int)number, &action, NULL);
}
