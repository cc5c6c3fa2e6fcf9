#pragma once

#include "arch/arch.h"

#include <csignal>
#include <cstdint>
#include <sys/syscall.h>

namespace rfork::api {

// No handler of the program runs in this thread while this exists; what arrives waits.
class BlockedSignals {
  public:
    BlockedSignals() {
        const std::uint64_t all = ~std::uint64_t(0);
        set(all, &before_);
        after_ = before_;
    }
    ~BlockedSignals() { set(after_, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

    std::uint64_t before() const { return before_; }
    // What is to be in force afterwards, instead of what was before.
    void leave(std::uint64_t mask) { after_ = mask; }

  private:
    static void set(const std::uint64_t& mask, std::uint64_t* before) {
        arch::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, before, sizeof mask);
    }

    std::uint64_t before_ = 0;
    std::uint64_t after_ = 0;
};

} // namespace rfork::api
