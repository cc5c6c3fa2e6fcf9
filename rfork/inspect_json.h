// `rfork inspect --json`: the same as for people, as one object. Its members are in rfork(1).
#pragma once

#include "image/reader.h"
#include "inspect.h"

#include <string>

namespace rfork::tool {

// Of an image whose pages have been verified, if that is what the options ask for.
std::string json_of(const std::string& path, int fd, const image::Image& image,
                    const InspectOptions& options);

} // namespace rfork::tool
