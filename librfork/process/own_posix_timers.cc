#include "process/own_posix_timers.h"

#include "arch/arch.h"
#include "base/clock.h"
#include "base/proc.h"

#include <cerrno>
#include <ctime>
#include <sys/syscall.h>

namespace rfork::capture {
namespace {

constexpr char list_of_timers[] = "/proc/self/timers";

void ask_times(PosixTimer& timer) {
    itimerspec times{};
    arch::syscall(SYS_timer_gettime, timer.id, &times);
    timer.interval = nanoseconds(times.it_interval);
    timer.remaining = nanoseconds(times.it_value);
}

// A kernel without CONFIG_CHECKPOINT_RESTORE has no list. Ids are given in ascending order, so that
// a program that has timers has some of the first.
Result<std::vector<PosixTimer>> ask_without_list() {
    constexpr int ids_tried = 1024;
    itimerspec times{};
    for (int id = 0; id < ids_tried; ++id)
        if (arch::syscall(SYS_timer_gettime, id, &times) == 0)
            return Error{ENOTSUP, "the process has POSIX timer " + std::to_string(id) +
                                      ", and this kernel does not tell which clock it runs on and "
                                      "what it does (there is no " +
                                      list_of_timers +
                                      "): delete it before the call, or boot a kernel with "
                                      "CONFIG_CHECKPOINT_RESTORE"};
    return std::vector<PosixTimer>();
}

} // namespace

Result<std::vector<PosixTimer>> own_posix_timers() {
    std::string text;
    const int error = read_text(AT_FDCWD, list_of_timers, text);
    if (error == ENOENT)
        return ask_without_list();
    if (error)
        return system_error(error, std::string("cannot read ") + list_of_timers,
                            "mount /proc, and allow more open files (ulimit -n)");
    Result<std::vector<PosixTimer>> timers = parse_posix_timers(text);
    if (timers)
        for (PosixTimer& timer : *timers)
            ask_times(timer);
    return timers;
}

} // namespace rfork::capture
