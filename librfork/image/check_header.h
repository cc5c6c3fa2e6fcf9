// The part of the reader's checks that concerns the image's Header: whether it agrees with itself,
// with the program headers, and with the file it lies in.
#pragma once

#include "base/result.h"
#include "format/format.h"
#include "image/check_front.h"

namespace rfork::image {

Result<void> check_header(const Header& header, const Front& front, std::uint64_t file_size);

} // namespace rfork::image
