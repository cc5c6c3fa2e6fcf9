// Landlock, a sandbox that a process puts itself in, and that nothing in /proc speaks of.
#pragma once

#include "base/result.h"

namespace rfork::capture {

// Of the calling process, if it has no_new_privs, which one without rights needs for it.
Result<bool> is_in_landlock_domain();

} // namespace rfork::capture
