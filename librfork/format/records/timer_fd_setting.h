// What a timerfd is set to, and the expirations that the program has not read.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

struct TimerFdSettingRecord {
    image::RecordHeader header;
    std::uint32_t object; // the timerfd
    std::int32_t clock;
    std::uint32_t flags;     // of timerfd_settime(2)
    std::uint32_t name;      // string
    std::uint64_t remaining; // nanoseconds to the next expiration; 0: not armed
    std::uint64_t expires;   // when that is, by its clock; in use with TFD_TIMER_ABSTIME
    std::uint64_t interval;  // nanoseconds
    std::uint64_t unread;    // expirations
};
static_assert(sizeof(TimerFdSettingRecord) == 56);

} // namespace rfork::kinds
