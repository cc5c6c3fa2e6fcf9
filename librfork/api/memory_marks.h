// rfork_exclude(), rfork_readonly() and rfork_include(): what the program says of its memory.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

#include <span>

namespace rfork::api {

// Ascending and disjoint.
std::span<const capture::Range> excluded_memory();
std::span<const capture::Range> read_only_memory();

// In a copy: the excluded ranges become zero. The copy's memory must be its own, but for mappings
// of files that others may share, which are left alone.
Result<void> clear_excluded_memory(const std::vector<image::Mapping>& mappings);

} // namespace rfork::api
