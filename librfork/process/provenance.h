// Where file mappings of a resumed process came from.
//
// After a resume the program's libraries are mapped from the image it was started from. The image
// still knows what they were called before; so the next image does too, and a debugger finds
// libc.so.6 in a core of the hundredth hop.
#pragma once

#include "image/reader.h"
#include "process/memory_map.h"
#include "process/source.h"

#include <optional>

namespace rfork::capture {

class Provenance {
  public:
    // Empty when the process was not started from an image.
    static Provenance of(const Source& source);

    // Replaces name and offset of a mapping of the image by those of the file it was made from.
    void restore(MemoryMapEntry& entry) const;

  private:
    std::optional<image::Image> image_;
    std::uint64_t inode_ = 0;
};

} // namespace rfork::capture
