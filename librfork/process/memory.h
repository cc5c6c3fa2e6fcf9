// Decides for every mapping how it travels, or that it cannot.
#pragma once

#include "process/memory_map.h"
#include "process/source.h"
#include "snapshot/snapshot.h"

namespace rfork::capture {

// What is left of `whole` without the ranges in `holes`, in ascending order.
std::vector<Range> without(Range whole, std::span<const Range> holes);

// The ranges, and wherever else the same shared memory is mapped; ascending, without overlaps.
std::vector<Range> with_aliases(const std::vector<image::Mapping>& mappings,
                                std::span<const Range> ranges);

// Fills in process.mappings from `entries`, leaving out `own`, ranges of librfork's working
// memory.
Result<void> classify_memory(const Source& source, const std::vector<MemoryMapEntry>& entries,
                             std::span<const Range> own, ProcessSnapshot& process);

// Whether an image can carry it, as far as the memory map tells.
Result<void> check_can_carry(const MemoryMapEntry& entry);
Error cannot_carry(const MemoryMapEntry& entry, std::string_view what, std::string_view remedy);

} // namespace rfork::capture
