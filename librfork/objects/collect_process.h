// A process as its source shows it, put together: all but its pages.
#pragma once

#include "process/source.h"

#include <span>
#include <sys/types.h>

namespace rfork::kinds {

struct Children {
    std::span<const pid_t> ours; // that belong to the freezing
    bool stay_behind = false;    // the program's are not asked about
};

// While the process stands still: what it is and has. All obstacles are found before the first
// error that is none; ENOTSUP names them.
Result<void> collect_process(const capture::Source&, const Children&, capture::ProcessSnapshot&);

// Its mappings, and the objects that are known by these, without `own`: ranges of memory that
// belong to the freezing. When all processes have been collected, add_shared_memory() ends it.
Result<void> collect_memory(const capture::Source&, std::span<const capture::Range> own,
                            capture::ProcessSnapshot&);

} // namespace rfork::kinds
