// A timer of timer_create(2), under the kernel's own number for it.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct PosixTimerRecord { // nanoseconds
    image::RecordHeader header;
    std::int32_t id;
    std::int32_t clock;  // as for timer_create(2); CPU time as the clock of process or thread 0
    std::int32_t notify; // SIGEV_*
    std::int32_t signal;
    std::uint64_t value;  // sigev_value
    std::int32_t thread;  // SIGEV_THREAD_ID: which, by the tid it had; else 0
    std::int32_t runs_on; // a clock of a thread's CPU time: whose; else 0
    std::uint64_t interval;
    std::uint64_t remaining; // 0: it is not running
    // The signal of its last expiry is pending, and until that is taken the next interval does not
    // begin. The timer then starts where that signal's record is restored.
    std::uint32_t expiry_pending;
    std::uint32_t pad;
};
static_assert(sizeof(PosixTimerRecord) == 64);

} // namespace rfork::kinds
