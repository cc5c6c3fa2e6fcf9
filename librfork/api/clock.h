// Time in nanoseconds.
#pragma once

#include <cstdint>
#include <ctime>

namespace rfork::api {

inline std::uint64_t clock_ns(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return std::uint64_t(t.tv_sec) * 1000000000 + std::uint64_t(t.tv_nsec);
}
inline std::uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}
inline std::uint64_t realtime_ns() {
    return clock_ns(CLOCK_REALTIME);
}

} // namespace rfork::api
