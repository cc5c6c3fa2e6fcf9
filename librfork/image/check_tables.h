// The part of the reader's checks that concerns the contents of the metadata.
#pragma once

#include "base/result.h"
#include "image/reader.h"

namespace rfork::image {

// What the comment over Image promises. The places of the tables are good already.
Result<void> check_tables(const Image& image);

} // namespace rfork::image
