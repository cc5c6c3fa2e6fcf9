// The page source for a process that captures itself: its memory is simply there.
#pragma once

#include "process/pagemap.h"

namespace rfork::capture {

// Appends the pages of shared anonymous memory that may hold anything.
Result<void> find_resident(Range range, std::vector<Range>& pages);

class OwnPages : public PageSource {
  public:
    // Used in the copy made for the capture only: mappings that cannot be read are made readable
    // there, which the caller does not notice.
    static Result<OwnPages> open();

    Result<void> find_pages(const image::Mapping& mapping, std::vector<Range>& pages) override;
    Result<std::span<const std::uint8_t>> bytes(Range range) override;
    Result<std::uint64_t> read(Range range, std::uint8_t* to) override;

  private:
    explicit OwnPages(Pagemap pagemap) : pagemap_(std::move(pagemap)) {}
    bool is_there(Range range) const;

    Pagemap pagemap_;
    std::vector<Range> of_files_; // ascending; contents of files, which may end early
};

} // namespace rfork::capture
