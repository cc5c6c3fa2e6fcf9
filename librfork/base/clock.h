// Times in nanoseconds.
//
// In a program the clock is read by system call: errno is the program's, and the vDSO's function
// dies where the program may not read the CPU's time stamp (PR_SET_TSC in prctl(2)). What speaks
// with other hosts reads it through libc, where a test can put another clock in its place; a
// program's call has made the time stamp readable by then (api/readable_clock.h).
#pragma once

#include "arch/arch.h"

#include <cstdint>
#include <ctime>
#include <sys/syscall.h>

namespace rfork {

constexpr std::uint64_t nanoseconds(const timespec& time) {
    return std::uint64_t(time.tv_sec) * 1'000'000'000 + std::uint64_t(time.tv_nsec);
}

constexpr timespec to_timespec(std::uint64_t nanoseconds) {
    return {time_t(nanoseconds / 1'000'000'000), long(nanoseconds % 1'000'000'000)};
}

inline std::uint64_t clock_ns(clockid_t clock) {
    timespec time{};
    arch::syscall(SYS_clock_gettime, clock, &time);
    return nanoseconds(time);
}

inline std::uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

inline std::uint64_t realtime_ns() {
    return clock_ns(CLOCK_REALTIME);
}

inline std::uint64_t libc_clock_ns(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return nanoseconds(time);
}

} // namespace rfork
