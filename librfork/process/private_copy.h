// Shared memory, as it was at one moment.
//
// A copy made by fork(2) shares shared mappings with the process, whose other threads go on and
// write there. So while they stand still, each mapping of shared memory in the copy is replaced by
// a private one with the same contents. What is to be written has been classified before.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

#include <span>

namespace rfork::capture {

// Outside of `own`.
Result<bool> has_shared_memory(std::span<const Range> own);
// But for what will not be written to, says the program, unless it is among `anyway`.
Result<void> make_private(const std::vector<image::Mapping>& mappings,
                          std::span<const Range> read_only, std::span<const Range> anyway);

} // namespace rfork::capture
