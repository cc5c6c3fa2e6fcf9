// Children of the process, which fork(2) leaves behind, and a program that goes on would miss.
#pragma once

#include "process/self.h"

namespace rfork::capture {

// From the caller's copy, while the caller's threads stand still. ENOTSUP if there are any but the
// copy itself and `ours`, zombies too.
Result<void> check_no_children(const OwnFacts& facts, std::span<const pid_t> ours);

} // namespace rfork::capture
