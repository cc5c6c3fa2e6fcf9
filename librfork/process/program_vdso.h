// A process that was resumed on another kernel than the one it was started under has two vDSOs: its
// own, which the stub has redirected and left a word about (format/redirection.h), and the running
// kernel's, to which nothing points but that.
#pragma once

#include "format/redirection.h"
#include "process/memory_map.h"
#include "snapshot/snapshot.h"

#include <optional>
#include <span>
#include <vector>

namespace rfork::capture {

// What the stub has left in front of the vDSO that the auxiliary vector names; nothing if that is
// the running kernel's, as in any other process. Looks at our own memory.
std::optional<image::Redirection> find_redirection(std::span<const MemoryMapEntry> entries,
                                                   std::span<const std::uint64_t> auxv);

// Where the code of the calling process's vDSOs lies.
std::vector<Range> vdso_code();

} // namespace rfork::capture
