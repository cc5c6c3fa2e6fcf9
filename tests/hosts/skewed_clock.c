/* To be preloaded: CLOCK_REALTIME is SKEWED_BY seconds off. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    const long r = syscall(SYS_clock_gettime, clock, time);
    const char *skew = getenv("SKEWED_BY");
    if (r == 0 && clock == CLOCK_REALTIME && skew)
        time->tv_sec += atol(skew);
    return (int)r;
}
