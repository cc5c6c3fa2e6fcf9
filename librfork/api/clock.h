// Time in nanoseconds. By system call: the vDSO's function dies where the program may not read the
// CPU's time stamp (PR_SET_TSC in prctl(2)).
#pragma once

#include "arch/arch.h"

#include <cstdint>
#include <ctime>
#include <sys/syscall.h>

namespace rfork::api {

inline std::uint64_t clock_ns(clockid_t clock) {
    timespec t{};
    arch::syscall(SYS_clock_gettime, clock, &t);
    return std::uint64_t(t.tv_sec) * 1000000000 + std::uint64_t(t.tv_nsec);
}
inline std::uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}
inline std::uint64_t realtime_ns() {
    return clock_ns(CLOCK_REALTIME);
}

} // namespace rfork::api
