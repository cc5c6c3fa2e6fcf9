// Children of the process, which fork(2) leaves behind, and a program that goes on would miss.
#pragma once

#include "process/source.h"

namespace rfork::capture {

// While the process stands still. ENOTSUP if there are any but `ours`, zombies too; the sentence
// says which, and not what to do.
Result<void> check_no_children(const Source& source, std::span<const pid_t> ours);

} // namespace rfork::capture
