/*
 * To be preloaded: CLOCK_REALTIME is SKEWED_BY seconds off; and as soon as there is a file
 * LATER_IF, all clocks are as many seconds on as it says.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long later(void) {
    char text[32] = "";
    const char* path = getenv("LATER_IF");
    const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    const ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    return size > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
    const long r = syscall(SYS_clock_gettime, clock, time);
    const char* skew = getenv("SKEWED_BY");
    if (r == 0 && clock == CLOCK_REALTIME && skew)
        time->tv_sec += atol(skew);
    if (r == 0)
        time->tv_sec += later();
    return (int)r;
}
