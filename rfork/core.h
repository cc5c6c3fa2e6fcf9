// `rfork core`: the core view of an image, as a file of its own.
#pragma once

#include "base/result.h"

#include <string>

namespace rfork::tool {

// `core_path` appears complete or not at all, mode 0600, and replaces what was there.
Result<void> write_core(const std::string& image_path, const std::string& core_path);

} // namespace rfork::tool
