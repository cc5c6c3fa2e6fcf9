// Which pages of private memory can hold anything: those present or swapped out, and not the zero
// page. PAGEMAP_SCAN skips what was never touched, terabytes of it at once; reading
// /proc/PID/pagemap, the older way, has an entry for each page whether it is there or not.
#pragma once

#include "base/unique_fd.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <vector>

namespace rfork::capture {

class Pagemap {
  public:
    explicit Pagemap(UniqueFd fd) : fd_(std::move(fd)) {} // of /proc/PID/pagemap

    // Appends the pages of anonymous memory that hold anything. ENOTSUP where there is a guard
    // region.
    Result<void> find_touched(Range range, std::vector<Range>& pages);
    // ENOTSUP if there is a guard region in a mapping of a file.
    Result<void> check_guards(Range range);

  private:
    Result<void> find_touched_by_table(Range range, std::vector<Range>& pages);

    UniqueFd fd_;
    std::vector<std::uint64_t> table_; // kept from call to call: an arena takes nothing back
    enum class Scan { with_guards, plain, none }; // PAGEMAP_SCAN, Linux 6.15, 6.7, before
    Scan scan_ = Scan::with_guards;
};

// Appends to what is ascending.
void add_pages(std::vector<Range>& pages, Range range);

} // namespace rfork::capture
