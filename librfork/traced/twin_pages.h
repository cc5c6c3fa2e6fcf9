// The page source for a process that was frozen from outside: the memory of its twin.
//
// Memory that the process shares goes on changing when it does. What is to be as it was is copied
// here while the process stands still.
#pragma once

#include "process/pagemap.h"
#include "traced/twin.h"

#include <memory>

namespace rfork::capture {

class TwinPages final : public PageSource {
  public:
    static Result<std::unique_ptr<TwinPages>> open(const Twin& twin);

    // Of shared memory.
    Result<void> keep(const image::Mapping& mapping);

    Result<void> find_pages(const image::Mapping& mapping, std::vector<Range>& pages) override;
    Result<std::span<const std::uint8_t>> bytes(Range range) override;
    Result<std::uint64_t> read(Range range, std::uint8_t* to) override;

    // Set by a signal handler: whoever reads is told EINTR.
    static volatile bool interrupted;

  private:
    struct Kept {
        Range range;
        std::unique_ptr<std::uint8_t[]> bytes;
    };
    TwinPages(const Twin& twin, UniqueFd pagemap, UniqueFd memory)
        : twin_(twin), pagemap_(std::move(pagemap)), memory_(std::move(memory)) {}
    Result<void> find_resident(Range range, std::vector<Range>& pages);
    const Kept* kept_at(std::uint64_t address) const;

    const Twin& twin_;
    Pagemap pagemap_;
    UniqueFd memory_;              // /proc/PID/mem
    std::vector<Range> kept_from_; // mappings
    std::vector<Kept> kept_;       // ascending
    std::vector<std::uint8_t> buffer_;
};

} // namespace rfork::capture
