// Times in nanoseconds of CLOCK_REALTIME, the one clock that processes on different hosts share.
#pragma once

#include <cstdint>
#include <ctime>

namespace rfork::bench {

inline std::int64_t now() {
    timespec time;
    ::clock_gettime(CLOCK_REALTIME, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline double milliseconds(std::int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1e6;
}

inline void sleep_milliseconds(long count) {
    timespec time{count / 1000, count % 1000 * 1'000'000};
    ::nanosleep(&time, nullptr);
}

} // namespace rfork::bench
