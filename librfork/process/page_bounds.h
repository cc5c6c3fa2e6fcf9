// Where memory has pages at all.
#pragma once

#include "snapshot/snapshot.h"

#include <cstdint>
#include <sys/types.h>

namespace rfork::capture {

// A mapping may be longer than its file, and pages behind the end of the file are none: SIGBUS.
// Where the first of these would be.
Result<std::uint64_t> end_of_file(pid_t pid, Range mapping);

// Whether pages of shared memory may be on a disk, where nobody tells of them.
bool swap_in_use();

} // namespace rfork::capture
