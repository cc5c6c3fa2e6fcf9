// The part of the reader's checks that concerns the list of sections: whether each lies where it
// can be, and whether all are there that must be.
#pragma once

#include "base/result.h"
#include "image/reader.h"

namespace rfork::image {

Result<void> check_sections(const Image& image);

inline bool holds_extents(SectionKind kind) {
    return kind == SectionKind::extents || kind == SectionKind::shared_memory;
}

} // namespace rfork::image
