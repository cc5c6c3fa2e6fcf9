// The timers of timer_create(2).
#pragma once

#include "base/result.h"
#include "process/pending_signals.h"

#include <cstdint>
#include <string>
#include <vector>

namespace rfork::capture {

struct PosixTimer {
    std::int32_t id = 0;
    std::int32_t signal = 0;
    std::uint64_t value = 0;     // sigev_value
    std::int32_t notify = 0;     // SIGEV_*
    std::int32_t target = 0;     // process or thread that gets the signal, as /proc knows it
    std::int32_t clock = 0;      // as timer_create(2) has it
    std::uint64_t interval = 0;  // ns
    std::uint64_t remaining = 0; // ns; 0: it is not running
};

// The text of /proc/PID/timers, in ascending order of id, without times.
Result<std::vector<PosixTimer>> parse_posix_timers(const std::string& text);

// Whether `signal` tells of an expiry of `timer`.
bool is_from(const PosixTimer& timer, const PendingSignal& signal);

// Whether `signal` is the expiry of `timer`, for which the timer waits. A signal that was pending
// when the timer was set again or deleted is not: it may or may not come (POSIX leaves it open, and
// Linux has dropped it since 6.13).
bool waits_for(const PosixTimer& timer, const PendingSignal& signal);

} // namespace rfork::capture
