// The records of an image in words.
#pragma once

#include "describe/describe.h"

namespace rfork::tool {

// Part by part, then whatever this program does not know.
Lines describe_records(const FrozenProgram& program);

} // namespace rfork::tool
