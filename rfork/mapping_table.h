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

const char* kind_name(image::MappingKind kind);
std::string protection(const image::Mapping& mapping); // "rw-p"
std::string flag_words(std::uint32_t flags);           // each behind a blank

struct Total {
    unsigned count = 0;
    std::uint64_t mapped = 0;
    std::uint64_t carried = 0;
};

class MappingTable {
  public:
    MappingTable(const FrozenProgram& program, const SharedBytes& shared);

    Total total() const;
    std::map<image::MappingKind, Total> totals() const; // of those kinds that there are

    // Their numbers, for the following: so many, those first of which the image carries most.
    std::vector<std::size_t> largest(std::size_t count) const;
    std::size_t size() const { return mappings_.size(); }
    const image::Mapping& mapping(std::size_t number) const { return mappings_[number]; }
    std::uint64_t carried(std::size_t number) const { return carried_[number]; }

    std::vector<Line> summary() const;
    std::string text(std::size_t number) const;

  private:
    FrozenProgram program_;
    std::span<const image::Mapping> mappings_;
    std::vector<std::uint64_t> carried_; // bytes of each
};

} // namespace rfork::tool
