// The way back of a thread that is made to run code of ours: a signal frame in its memory, by which
// it goes on as it would have, whoever is killed meanwhile.
//
// It says what a copy's registers would say (tracer_read.cc): rt_sigreturn(2) lets the kernel forget
// the system call that the thread was stopped in, so that is made again.
#pragma once

#include "arch/arch.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>
#include <vector>

namespace rfork::capture {

// A stopped thread.
struct Position {
    pid_t tid = 0;
    arch::Registers here{}; // with which its tracer lets it go on
    arch::Registers copy{}; // with which a copy would
    std::uint64_t mask = 0; // of signals
    std::vector<std::uint8_t> xstate;
};

class ReturnFrame {
  public:
    explicit ReturnFrame(const Position& position) : position_(position) {}
    // How many bytes it takes, in multiples of 64.
    std::size_t size() const;
    // Writes it to `to`, for the address `at`, which is a multiple of 64. Returns where in the
    // process the arch::SignalFrame is, or 0 if this CPU's state does not fit.
    std::uint64_t build(std::uint64_t at, std::uint8_t* to) const;

  private:
    const Position& position_;
};

} // namespace rfork::capture
