// System calls that somebody else answers: seccomp(2)'s user notification.
//
// The filter is inherited by all that a process forks and executes, so one of them covers a
// program, its copies, a daemon and static images that have no libc into which anything could be
// preloaded.
#pragma once

#include "base/unique_fd.h"

#include <cstdint>
#include <linux/seccomp.h>
#include <optional>

namespace faults {

// Installs the filter in this process, and returns its listener.
rfork::UniqueFd install_filter();

class Listener {
  public:
    explicit Listener(rfork::UniqueFd fd) : fd_(std::move(fd)) {}
    int fd() const { return fd_.get(); }

    std::optional<seccomp_notif> next();
    bool still_waits(std::uint64_t id) const;
    void let_go(std::uint64_t id); // the kernel makes the call as if nobody had looked
    void answer(std::uint64_t id, long value, int error);

  private:
    rfork::UniqueFd fd_;
};

} // namespace faults
