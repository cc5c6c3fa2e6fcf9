// What freezers that were killed have left in a process, for the next one to take away.
//
// Threads may still be in such code, until their patience is at an end; so it is code in which they
// are not frozen. A twin that nobody holds has ended, and nobody has waited for it.
#pragma once

#include "process/memory_map.h"
#include "process/tracer.h"
#include "snapshot/snapshot.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace rfork::capture {

struct Leftovers {
    std::vector<UnsafeCode> code;
    std::vector<Range> rooms;
    std::vector<pid_t> twins; // as the process calls them
};

// `map`: of the process `pid`, which may be running.
Leftovers find_leftovers(pid_t pid, const std::vector<MemoryMapEntry>& map);

} // namespace rfork::capture
