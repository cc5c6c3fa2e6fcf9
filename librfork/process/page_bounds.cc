#include "process/page_bounds.h"

#include "process/own_memory.h"

#include <cerrno>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

namespace rfork::capture {

// No other error than EFAULT says that a page is none.
Result<std::uint64_t> end_of_file(pid_t pid, Range mapping) {
    constexpr std::uint64_t page = image::page_size;
    std::uint64_t there = mapping.start, behind = mapping.end; // the first that may be none
    for (std::uint64_t at = mapping.end - page; there < behind;
         at = there + (behind - there) / page / 2 * page) {
        char byte;
        const long r = peek_bytes(pid, at, &byte, sizeof byte);
        if (r == 1)
            there = at + page;
        else if (r == -EFAULT)
            behind = at;
        else
            return cannot_peek(r);
    }
    return there;
}

// By system call: errno is part of a program's memory, and stays as it is to be.
bool swap_in_use() {
    struct sysinfo info {};
    return arch::syscall(SYS_sysinfo, &info) != 0 || info.freeswap != info.totalswap;
}

} // namespace rfork::capture
