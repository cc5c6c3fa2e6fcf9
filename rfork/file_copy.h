// Copies a whole file as cheaply as the file system allows.
#pragma once

#include "base/progress.h"
#include "base/result.h"

#include <cstdint>

namespace rfork::tool {

// The first `size` bytes of `from` become all of `to`, an empty file. Holes stay holes.
Result<void> copy_file(int from, int to, std::uint64_t size, Progress& progress);

} // namespace rfork::tool
