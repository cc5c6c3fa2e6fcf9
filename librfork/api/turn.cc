#include "api/turn.h"

#include "arch/arch.h"

#include <linux/futex.h>
#include <sys/syscall.h>

namespace rfork::api {
// A futex, 0 while the door is open; else the process in which it was taken, and whether somebody
// waits there. (Pids have 22 bits.) In an image it is taken by nobody, until rfork_landing opens
// it.
extern "C" std::uint32_t rfork_door;
std::uint32_t rfork_door = 0;

namespace {

constexpr std::uint32_t open_door = 0, taken = 1, taken_and_awaited = 2;
constexpr unsigned state_bits = 2;

std::uint32_t& door = rfork_door;

void wait_while(std::uint32_t state) {
    arch::syscall(SYS_futex, &door, FUTEX_WAIT_PRIVATE, state, nullptr, nullptr, 0);
}

} // namespace

void Turn::take() {
    const std::uint32_t here = std::uint32_t(arch::syscall(SYS_getpid)) << state_bits;
    std::uint32_t closed = here | taken;
    for (;;) {
        std::uint32_t was = __atomic_load_n(&door, __ATOMIC_ACQUIRE);
        const std::uint32_t process = was >> state_bits << state_bits;
        if (was != open_door && process == 0) {
            wait_while(was);
            continue;
        }
        // In a child of fork(2) the thread that had it does not exist.
        if (was == open_door || process != here) {
            if (__atomic_compare_exchange_n(&door, &was, closed, false, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED))
                return;
            continue;
        }
        closed = here | taken_and_awaited; // others may wait too
        if (was == closed || __atomic_compare_exchange_n(&door, &was, closed, false,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            wait_while(closed);
    }
}

void Turn::give_up() {
    if (__atomic_exchange_n(&door, open_door, __ATOMIC_RELEASE) & taken_and_awaited)
        arch::syscall(SYS_futex, &door, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Turn::leave_to_landing() {
    door = taken_and_awaited;
}

} // namespace rfork::api
