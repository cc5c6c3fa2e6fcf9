// Where the bytes of an image's pages come from.
#pragma once

#include "base/result.h"
#include "format/format.h"

#include <cstdint>
#include <span>
#include <vector>

namespace rfork::capture {

struct Range {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t size() const { return end - start; }
};

// The bytes of the frozen memory.
class PageSource {
  public:
    // Appends to `pages`, in ascending order, the pages of `mapping` that may hold anything but
    // zeroes; of a mapped file those that the file has.
    virtual Result<void> find_pages(const image::Mapping& mapping, std::vector<Range>& pages) = 0;
    // The bytes of `range`, which find_pages() reported; valid until the next call.
    virtual Result<std::span<const std::uint8_t>> bytes(Range range) = 0;
    // Copies the bytes of `range` and returns how many there are: fewer than asked for where a
    // mapped file has become shorter since.
    virtual Result<std::uint64_t> read(Range range, std::uint8_t* to) = 0;

  protected:
    ~PageSource() = default;
};

} // namespace rfork::capture
