// `rfork core`: the core view of an image, as a file of its own.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>

namespace rfork::tool {

// `core_path` appears complete or not at all, mode 0600, and replaces a regular file. Of an image
// of several processes it is the core of the first, which standard error then tells, if no pid says
// otherwise.
Result<void> write_core(const std::string& image_path, const std::string& core_path,
                        std::optional<std::int32_t> pid = {});

} // namespace rfork::tool
