#pragma once

#include "process/source.h"
#include "snapshot/open_description.h"

#include <vector>

namespace rfork::capture {

// What the process has open, in the order of the first descriptors.
Result<std::vector<OpenDescription>> list_open_descriptions(const Source&);

} // namespace rfork::capture
