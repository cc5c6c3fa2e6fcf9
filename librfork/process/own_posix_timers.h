// The timers of timer_create(2) of the calling process. The kernel lists them in /proc; when each
// of them runs out, it tells only the process itself.
#pragma once

#include "process/posix_timers.h"

namespace rfork::capture {

Result<std::vector<PosixTimer>> own_posix_timers();

} // namespace rfork::capture
