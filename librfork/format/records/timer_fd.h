// A timerfd_create(2), not armed yet; see timer_fd_setting.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

struct TimerFdRecord {
    image::ObjectHeader object;
    std::int32_t clock;
    std::uint32_t pad;
};
static_assert(sizeof(TimerFdRecord) == 32);

} // namespace rfork::kinds
