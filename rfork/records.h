// The records of an image in words.
#pragma once

#include "describe/describe.h"

namespace rfork::tool {

Lines describe_record(const FrozenProgram& program, const image::Record& record);

// Part by part, then whatever this program does not know: of an image of one process all records.
Lines describe_records(const FrozenProgram& program);

// Of an image of several processes what they refer to, by its number, and what is of one of them:
// its records, and its descriptors by that number.
Lines describe_objects(int fd, const image::Image& image);
Lines describe_state(const FrozenProgram& program);
Line title_of(const FrozenProgram& program);

} // namespace rfork::tool
