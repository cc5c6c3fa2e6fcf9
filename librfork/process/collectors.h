// The hosted half of the table of kinds: one collector each, in objects/<name>/collect.cc or
// state/<name>/collect.cc. It reads
// what there is of its kind through the source and adds records to the process, or refuses with a
// sentence what an image cannot carry.
#pragma once

#include "process/source.h"
#include "snapshot/snapshot.h"

namespace rfork::kinds {

using Collector = Result<void> (*)(const capture::Source&, capture::ProcessSnapshot&);

#define RFORK_KIND(number, phase, name)                                                            \
    Result<void> collect_##name(const capture::Source&, capture::ProcessSnapshot&);
#include "format/kinds.def"
#undef RFORK_KIND

inline constexpr Collector collectors[] = {
#define RFORK_KIND(number, phase, name) collect_##name,
#include "format/kinds.def"
#undef RFORK_KIND
};

} // namespace rfork::kinds
