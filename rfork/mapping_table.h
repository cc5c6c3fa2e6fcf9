// The memory map of a frozen process: a summary by kind, and the list in the manner of
// /proc/PID/maps.
#pragma once

#include "describe/describe.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rfork::tool {

// How much of its shared memory an image carries.
class SharedBytes {
  public:
    explicit SharedBytes(const image::Image& image);
    std::uint64_t between(std::uint32_t object, std::uint64_t start, std::uint64_t end) const;

  private:
    std::uint64_t before(std::uint32_t object, std::uint64_t offset) const;

    const image::Image& image_;
    // By object: how many bytes are in front of each of its extents.
    std::map<std::uint32_t, std::vector<std::uint64_t>> in_front_;
};

class MappingTable {
  public:
    MappingTable(const FrozenProgram& program, const SharedBytes& shared);

    std::vector<Line> summary() const;
    std::vector<std::string> list() const;
    // So many, those first of which the image carries most.
    std::vector<std::string> largest(std::size_t count) const;

  private:
    std::string text(std::size_t mapping) const;

    FrozenProgram program_;
    std::span<const image::Mapping> mappings_;
    std::vector<std::uint64_t> carried_; // bytes of each
};

} // namespace rfork::tool
