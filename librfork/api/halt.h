// For a call that ends the original (rfork_move(), RFORK_END): from the freeze until it is known
// where the program goes on, it goes on nowhere.
//
// The other threads stay where they were frozen. No handler of the program runs in the calling
// thread; what arrives for one stays pending. What would end the program by default may do so, and
// SIGSTOP may stop it; the terminal's stops wait.
#pragma once

#include "api/blocked_signals.h"
#include "process/source.h"
#include "process/standstill.h"

#include <memory>

namespace rfork::api {

class Halt {
  public:
    Halt() = default;
    ~Halt() { end(); }
    Halt(const Halt&) = delete;
    Halt& operator=(const Halt&) = delete;

    // The others are held by `standstill`; `blocked` ends after this.
    void begin(std::unique_ptr<capture::Standstill> standstill, BlockedSignals& blocked,
               const capture::KernelFacts& facts);

    // The program goes on here.
    void end();

  private:
    std::unique_ptr<capture::Standstill> others_;
    bool begun_ = false;
    std::uint64_t mask_before_ = 0;
};

// The program goes on elsewhere. Its other threads are still halted, and nothing of it runs here
// any more: no handlers, no flushing of stdio, which the copy does.
[[noreturn]] void end_original();

} // namespace rfork::api
