#include "api/call_lock.h"

#include "arch/arch.h"

#include <linux/futex.h>
#include <sys/syscall.h>

namespace rfork::api {
// A futex, 0 while the lock is free; else the process in which it was taken, and whether somebody
// waits there. (Pids have 22 bits.) In an image it is taken by nobody, until rfork_landing frees
// it.
extern "C" std::uint32_t rfork_call_lock;
std::uint32_t rfork_call_lock = 0;

namespace {

constexpr std::uint32_t free_lock = 0, taken = 1, taken_and_awaited = 2;
constexpr unsigned state_bits = 2;

void wait_while(std::uint32_t state) {
    arch::syscall(SYS_futex, &rfork_call_lock, FUTEX_WAIT_PRIVATE, state, nullptr, nullptr, 0);
}

} // namespace

void CallLock::lock() {
    const std::uint32_t here = std::uint32_t(arch::syscall(SYS_getpid)) << state_bits;
    std::uint32_t locked = here | taken;
    for (;;) {
        std::uint32_t was = __atomic_load_n(&rfork_call_lock, __ATOMIC_ACQUIRE);
        const std::uint32_t process = was >> state_bits << state_bits;
        if (was != free_lock && process == 0) {
            wait_while(was);
            continue;
        }
        // In a child of fork(2) the thread that had it does not exist.
        if (was == free_lock || process != here) {
            if (__atomic_compare_exchange_n(&rfork_call_lock, &was, locked, false, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED))
                return;
            continue;
        }
        locked = here | taken_and_awaited; // others may wait too
        if (was == locked || __atomic_compare_exchange_n(&rfork_call_lock, &was, locked, false,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            wait_while(locked);
    }
}

void CallLock::unlock() {
    if (__atomic_exchange_n(&rfork_call_lock, free_lock, __ATOMIC_RELEASE) & taken_and_awaited)
        arch::syscall(SYS_futex, &rfork_call_lock, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void CallLock::leave_to_landing() {
    rfork_call_lock = taken_and_awaited;
}

} // namespace rfork::api
