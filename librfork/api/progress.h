// A line for whoever sits in front of a terminal and waits for a large program to be frozen:
//
//   freezing simulation: 412 MiB of 1.0 GiB, 190 MiB/s, 4 s left
//
// after a second, anew five times a second, and gone at the end. The calling thread writes it while
// it waits for its copy.
#pragma once

#include "image/writer.h"

#include <cstdint>

namespace rfork::api {

class ProgressLine {
  public:
    // Not if stderr is no terminal, or belongs to somebody else now, or RFORK_VERBOSE is 0.
    ProgressLine();
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    // How long to wait before the next look, in nanoseconds; 0: for ever.
    std::uint64_t pause() const;
    void show(const image::Progress& progress);

  private:
    bool wanted_;
    std::uint64_t began_;
    std::size_t shown_ = 0; // how long the line is that is there
};

} // namespace rfork::api
