// Times in nanoseconds of CLOCK_REALTIME, the one clock that processes on different hosts share.
#pragma once

#include "base/clock.h"

#include <cstdint>
#include <ctime>

namespace rfork::bench {

inline std::int64_t now() {
    return std::int64_t(libc_clock_ns(CLOCK_REALTIME));
}

inline double milliseconds(std::int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1e6;
}

inline void sleep_milliseconds(long count) {
    const timespec time = to_timespec(std::uint64_t(count) * 1'000'000);
    ::nanosleep(&time, nullptr);
}

} // namespace rfork::bench
