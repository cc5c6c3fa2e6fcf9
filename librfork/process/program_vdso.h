// A process that was resumed on another kernel than the one it was started under has two vDSOs: its
// own, which the stub has redirected and left a word about (format/redirection.h), and the running
// kernel's, to which nothing points but that.
#pragma once

#include "format/redirection.h"
#include "process/source.h"

#include <optional>
#include <span>

namespace rfork::capture {

// What the stub has left in front of the vDSO that the auxiliary vector names; nothing if that is
// the running kernel's, as in any other process.
std::optional<image::Redirection> find_redirection(const Source& source,
                                                   std::span<const MemoryMapEntry> entries,
                                                   std::span<const std::uint64_t> auxv);

} // namespace rfork::capture
