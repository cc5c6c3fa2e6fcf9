// How the caller learns what its copy has come to, sooner than by the copy's end: freeing a large
// address space takes as long as making it did.
//
// Each event is a futex in the page they share; and because the copy may die first, it enters
// those futexes in its robust list, as if they were mutexes it holds: then the kernel wakes the
// caller for it (get_robust_list(2), Documentation/locking/robust-futex-ABI). No descriptor is
// needed, and no signal. Only for the instant before it has entered anything is it looked after by
// time.
#pragma once

#include <cstdint>
#include <linux/futex.h>
#include <sys/types.h>

namespace rfork::api {

enum class CopyEvent : unsigned {
    collected, // all that may change when the caller's other threads go on has been read
    done
};

class CopyEvents { // in zeroed memory that both processes share
  public:
    // In the copy, before all else.
    void hold();
    // In the copy.
    void report(CopyEvent event);
    // In the caller. Returns when `copy` has reported that event, or is dead.
    void wait(CopyEvent event, pid_t copy) { (void)wait(event, copy, 0); }
    // False after so many nanoseconds, unless these are 0.
    bool wait(CopyEvent event, pid_t copy, std::uint64_t at_most);

  private:
    static constexpr std::uint32_t happened = 1u << 28; // no tid reaches this bit
    static constexpr unsigned count = 2;

    struct Held {
        robust_list entry;
        std::uint32_t word;
    };
    void link();

    Held events_[count];
    robust_list_head list_;
};

} // namespace rfork::api
