// The process as a whole: its number, and what its clocks showed. The numbers of its threads are in
// their own records.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct ProcessRecord {
    image::RecordHeader header;
    std::int32_t pid;        // as the process's own pid namespace had it
    std::uint32_t keeps_ids; // 0 or 1: pid and tids are to be the same again, unless RFORK_PID=new
    std::uint32_t threads;   // with a main thread that has ended
    std::uint32_t pad;
    std::int64_t monotonic; // CLOCK_MONOTONIC at the freeze, as the process saw it, nanoseconds
    std::int64_t boottime;  // CLOCK_BOOTTIME
    std::int64_t realtime;  // CLOCK_REALTIME
};
static_assert(sizeof(ProcessRecord) == 48);

} // namespace rfork::kinds
