// `rfork inspect`: what is in an image, for people or as JSON.
#pragma once

#include "base/result.h"

#include <string>

namespace rfork::tool {

struct InspectOptions {
    bool verify = false;   // also check every byte of memory against its checksum
    bool mappings = false; // list every mapping
    bool json = false;
    unsigned top = 0; // list so many, those of which the image carries most
};

// Prints to standard output.
Result<void> inspect(const std::string& path, const InspectOptions& options);

} // namespace rfork::tool
