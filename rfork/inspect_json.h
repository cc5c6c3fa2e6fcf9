// `rfork inspect --json`: the same as for people, as one object. Its members are in rfork(1).
#pragma once

#include "image/reader.h"
#include "inspect.h"

namespace rfork::tool {

Result<void> inspect_json(const std::string& path, int fd, const image::Image& image,
                          const InspectOptions& options);

} // namespace rfork::tool
