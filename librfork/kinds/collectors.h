// The hosted half of the table of kinds: one collector each, in kinds/<name>/collect.cc. It reads
// what there is of its kind through the source and adds records to the snapshot, or refuses with a
// sentence what an image cannot carry.
#pragma once

#include "capture/snapshot.h"
#include "capture/source.h"

namespace rfork::kinds {

using Collector = Result<void> (*)(const capture::Source&, capture::Snapshot&);

#define RFORK_KIND(number, phase, name)                                                            \
    Result<void> collect_##name(const capture::Source&, capture::Snapshot&);
#include "image/kinds.def"
#undef RFORK_KIND

inline constexpr Collector collectors[] = {
#define RFORK_KIND(number, phase, name) collect_##name,
#include "image/kinds.def"
#undef RFORK_KIND
};

} // namespace rfork::kinds
