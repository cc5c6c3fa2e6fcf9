// The three timers of setitimer(2), one of which alarm(2) sets too. Absent if none of them holds
// anything: then the program keeps those it is started with, as it would across an exec.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

inline constexpr unsigned interval_timer_count = 3; // ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF

struct IntervalTimer { // microseconds
    std::uint64_t interval;
    std::uint64_t remaining; // 0: it is not running
};

struct IntervalTimersRecord {
    image::RecordHeader header;
    IntervalTimer timers[interval_timer_count];
};
static_assert(sizeof(IntervalTimersRecord) == 8 + 3 * 16);

} // namespace rfork::kinds
