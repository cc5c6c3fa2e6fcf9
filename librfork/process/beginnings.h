// What the process was like when it began: what has changed since, the program has done itself, and
// takes along; the rest belongs to where it runs. After a resume it is what the stub says.
#pragma once

#include "format/records/resource_limits.h"

#include <climits>

namespace rfork::capture {

struct Beginnings {
    kinds::Limit limits[kinds::limit_count];
    char executable[PATH_MAX]; // the program's file; never that of an image
};

} // namespace rfork::capture
