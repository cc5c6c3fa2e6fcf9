// The part of an image in front of its pages: two ELF views, the stub, the metadata.
#pragma once

#include "base/unique_fd.h"
#include "image/layout.h"

#include <span>

namespace rfork::image {

// The resume stub that goes into every image.
std::span<const std::uint8_t> stub_code();
std::uint64_t padded_stub_size();

// Of the executable's section headers and their names, with the core views of so many processes.
std::uint64_t room_for_section_headers(std::size_t processes);

// All that comes before the pages, in memory, with its hashes.
class Front {
  public:
    static Result<Front> build(const Layout& layout);
    Front(Front&&) noexcept;
    ~Front();
    std::span<const std::uint8_t> bytes() const { return {at_, size_}; }

  private:
    Front(std::uint8_t* at, std::size_t size) : at_(at), size_(size) {}
    std::uint8_t* at_;
    std::size_t size_;
};

} // namespace rfork::image
