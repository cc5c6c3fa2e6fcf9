// How the copy tells the waiting caller that it is done, or the kernel that it is dead.
//
// Waiting for the copy's end would mean waiting for the kernel to tear down a whole address space.
// So the copy wakes the caller through a futex in the page they share; and because it may die
// first, it enters that futex in its robust list, as if it were a mutex it holds: then the kernel
// wakes the caller for it (get_robust_list(2), Documentation/locking/robust-futex-ABI). No
// descriptor is needed, and no signal. Only for the instant before it has entered anything is it
// looked after by time.
#pragma once

#include <cstdint>
#include <linux/futex.h>
#include <sys/types.h>

namespace rfork::api {

class Doorbell { // in zeroed memory that both processes share
  public:
    // In the copy, before all else.
    void hold();
    // In the copy, at the end.
    void ring();
    // In the caller. Returns when `copy` has rung, or is dead.
    void wait(pid_t copy);

  private:
    static constexpr std::uint32_t rung = 1u << 28; // no tid reaches this bit

    std::uint32_t word_;
    robust_list entry_;
    robust_list_head list_;
};

} // namespace rfork::api
