// What of a kernel an image needs beyond what all images do, and whether the running one has it.
#pragma once

#include "image/reader.h"

#include <string>
#include <vector>

namespace rfork::tool {

struct Release { // of Linux
    unsigned major = 0, minor = 0;
    friend auto operator<=>(const Release&, const Release&) = default;
};
std::string release_text(const Release& release); // "6.10"
Release running_release();

inline constexpr Release oldest_release{5, 9}; // on which anything of rfork runs

struct KernelNeed {
    Release since;
    std::string what;
    bool is_here;
};

// The first is what all need.
std::vector<KernelNeed> kernel_needs(const image::Image& image);

// The oldest kernel that has all.
Release oldest_kernel(const std::vector<KernelNeed>& needs);

} // namespace rfork::tool
