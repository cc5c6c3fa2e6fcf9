// The records of an image in words, one describer a kind.
#pragma once

#include "image/reader.h"

#include <string>
#include <vector>

namespace rfork::tool {

struct FrozenProgram {
    int fd; // the image file
    const image::Image& image;
};

// A line of the output: what it is about, and what there is to say.
struct Line {
    std::string title;
    std::string text;
};

// In the order of the table in records.cc, then whatever this program does not know.
std::vector<Line> describe_records(const FrozenProgram& program);

} // namespace rfork::tool
