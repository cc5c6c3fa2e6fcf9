// Reads the frozen program's memory out of its image.
#pragma once

#include "describe/describe.h"

#include <cstdint>
#include <string>

namespace rfork::tool {

// The bytes at `address`; those the image carries nothing for are zero, as they will be after the
// resume, and so are those that cannot be read.
std::string frozen_memory(const FrozenProgram& program, std::uint64_t address, std::size_t size);

} // namespace rfork::tool
