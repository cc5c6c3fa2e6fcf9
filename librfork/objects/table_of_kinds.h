// The table of kinds as a freeze uses it: who reads what there is of each, and whose a descriptor
// is.
#pragma once

#include "objects/descriptors.h"

#include <span>

namespace rfork::kinds {

// Reads what there is of a kind through the source and adds records to the process, or refuses with
// a sentence what an image cannot carry. In collect.cc of the kind's folder: collect_<name>().
using Collector = Result<void> (*)(const capture::Source&, capture::ProcessSnapshot&);

#define RFORK_KIND(number, name, collected, recognised, restored, described)                       \
    Result<void> collect_##name(const capture::Source&, capture::ProcessSnapshot&);                \
    bool is_##name(const capture::Source&, const OpenDescriptions&, const OpenDescription&);
#include "format/kinds.def"

std::span<const Collector> collectors(); // in the order in which they are called

// The kind that recognises an open file description.
image::Kind recognise(const capture::Source&, const OpenDescriptions&, const OpenDescription&);

} // namespace rfork::kinds
