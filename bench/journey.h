// A traveller on its way between two hosts, one order at a time (traveller.c has the other side).
#pragma once

#include "base/unique_fd.h"
#include "host.h"
#include "log_file.h"
#include "process.h"
#include "workplace.h"

#include <cstdint>
#include <string>

namespace rfork::bench {

struct Hop {            // nanoseconds
    std::int64_t whole; // from the caller's call to the copy's next instruction
    std::int64_t fork;  // how long the caller stood still
    std::int64_t write; // of the image
};

class Journey {
  public:
    Journey(const std::string& traveller, const Workplace& workplace, std::uint64_t heap_bytes,
            const Host& first, const Host& second);
    ~Journey();

    // To the other host. Returns when the copy has arrived and its caller has gone for good, memory
    // and all, so that nothing of this hop runs into the next measurement.
    Hop hop();

    void freeze(const std::string& image);

    // From before the exec of a frozen image to the program's next instruction.
    std::int64_t resume(const std::string& image);

  private:
    void await_start();
    void order(const std::string& text);
    std::string report(); // the next line
    void await_end(UniqueFd& watched);

    UniqueFd orders_;
    UniqueFd reports_;
    std::string unread_;
    std::vector<std::string> environment_;
    LogFile log_;
    Process first_;    // ours; the copies are the hosts'
    UniqueFd current_; // the process in which the traveller lives now
};

} // namespace rfork::bench
