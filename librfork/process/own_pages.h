// The page source for a process that captures itself: its memory is simply there.
#pragma once

#include "base/unique_fd.h"
#include "snapshot/snapshot.h"

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
    explicit OwnPages(UniqueFd pagemap) : pagemap_(std::move(pagemap)) {}
    bool is_there(Range range) const;
    Result<void> check_guards(Range range);
    Result<void> find_touched(Range range, std::vector<Range>& pages);
    Result<void> find_touched_by_table(Range range, std::vector<Range>& pages);

    UniqueFd pagemap_;
    std::vector<Range> of_files_;      // ascending; contents of files, which may end early
    std::vector<std::uint64_t> table_; // kept from call to call: the arena takes nothing back
    enum class Scan { with_guards, plain, none }; // PAGEMAP_SCAN, Linux 6.15, 6.7, before
    Scan scan_ = Scan::with_guards;
};

} // namespace rfork::capture
