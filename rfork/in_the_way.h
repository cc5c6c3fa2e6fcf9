// Why an image would not run here, for this user, in this environment: what its stub would find and
// refuse, looked at without executing it, and without changing anything. What shows only when a
// program is being rebuilt (an address in use, a number that is taken) is not looked at.
#pragma once

#include "arch/x86_64/cpu_features.h"
#include "image/reader.h"

#include <string>
#include <vector>

namespace rfork::tool {

// Sentences; none if nothing is in the way.
std::vector<std::string> what_is_in_the_way(int fd, const image::Image& image);

// Of it, the files, directories and devices.
void add_file_troubles(const image::Image& image, std::vector<std::string>& troubles);

// Of all processes together, and of these what is missing here.
arch::CpuFeatureSet required_cpu_features(const image::Image& image);
arch::CpuFeatureSet missing_cpu_features(const image::Image& image);

// "", or the value of a variable that tells a stub what to do.
std::string stub_setting(const char* variable);

} // namespace rfork::tool
