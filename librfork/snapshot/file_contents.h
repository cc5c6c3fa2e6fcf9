// What is in a file, as it was at one moment: a copy in memory that no address leads to, with the
// holes that the file has.
#pragma once

#include "base/unique_fd.h"
#include "snapshot/page_source.h"

namespace rfork::capture {

class FileContents final : public PageSource {
  public:
    static Result<FileContents> make(std::uint32_t object, std::uint64_t size);

    // By reading from `fd`. `seeks`: by moving its offset, too, to find what are no holes.
    Result<void> copy_from(int fd, bool seeks);
    // `size` bytes, which in `fd` are at `from`.
    Result<void> copy(int fd, std::uint64_t from, std::uint64_t to, std::uint64_t size);

    std::uint32_t object() const { return object_; } // to which they belong
    int fd() const { return fd_.get(); }
    image::Mapping whole() const; // as if all of it were mapped at address 0

    Result<void> find_pages(const image::Mapping& mapping, std::vector<Range>& pages) override;
    Result<std::span<const std::uint8_t>> bytes(Range range) override;
    Result<std::uint64_t> read(Range range, std::uint8_t* to) override;

  private:
    FileContents(std::uint32_t object, std::uint64_t size, UniqueFd fd)
        : object_(object), size_(size), fd_(std::move(fd)) {}

    std::uint32_t object_;
    std::uint64_t size_;
    UniqueFd fd_; // a memfd, in whole pages
    std::vector<std::uint8_t> buffer_;
};

} // namespace rfork::capture
