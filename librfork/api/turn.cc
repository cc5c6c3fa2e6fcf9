#include "api/turn.h"

#include "arch/arch.h"

#include <linux/futex.h>
#include <sys/syscall.h>

namespace rfork::api {
// A futex; entry.S has the same numbers.
extern "C" std::uint32_t rfork_door;
std::uint32_t rfork_door = 0;

namespace {

enum : std::uint32_t { open_door, taken, taken_and_awaited };

constexpr std::uint32_t by_landing = 0;
std::uint32_t owner; // the process in which it was taken

std::uint32_t& door = rfork_door;

} // namespace

void Turn::take() {
    const auto process = std::uint32_t(arch::syscall(SYS_getpid));
    // In a child of fork(2) the thread that had it does not exist.
    if (__atomic_load_n(&door, __ATOMIC_ACQUIRE) != open_door && owner != process &&
        owner != by_landing)
        __atomic_store_n(&door, open_door, __ATOMIC_RELEASE);
    std::uint32_t was = open_door;
    if (!__atomic_compare_exchange_n(&door, &was, taken, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        while (__atomic_exchange_n(&door, taken_and_awaited, __ATOMIC_ACQUIRE) != open_door)
            arch::syscall(SYS_futex, &door, FUTEX_WAIT_PRIVATE, taken_and_awaited, nullptr, nullptr,
                          0);
    owner = process;
}

void Turn::give_up() {
    if (__atomic_exchange_n(&door, open_door, __ATOMIC_RELEASE) == taken_and_awaited)
        arch::syscall(SYS_futex, &door, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Turn::leave_to_landing() {
    owner = by_landing;
}

} // namespace rfork::api
