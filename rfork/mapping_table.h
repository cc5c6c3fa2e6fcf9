// The memory map of a frozen program: a summary by kind, and the list in the manner of
// /proc/PID/maps.
#pragma once

#include "records.h"

#include <string>
#include <vector>

namespace rfork::tool {

std::vector<Line> summarise_mappings(const image::Image& image);
std::vector<std::string> list_mappings(const image::Image& image);

// So many, those first of which the image carries most.
std::vector<std::string> list_largest_mappings(const image::Image& image, std::size_t count);

} // namespace rfork::tool
