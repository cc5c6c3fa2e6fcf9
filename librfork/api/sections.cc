// A counter of the threads that are in such code, and in each thread how deep. To enter never
// waits: a thread that freezes the process looks at the counter when the others stand still, and
// lets them go on if it is not zero.
#include "api/sections.h"

#include "api/public.h"
#include "arch/arch.h"
#include "base/clock.h"

#include <cerrno>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

namespace rfork::api {
namespace {

// The number of open sections, which is the futex, and above it the process that they are in: a
// child of fork(2) has none of the other threads.
std::uint64_t sections = 0;
std::uint32_t awaited = 0;
std::uint32_t list_taken = 0; // by a thread of that process
thread_local std::uint32_t depth = 0;

constexpr unsigned count_bits = 32;

std::uint32_t this_process() {
    return std::uint32_t(arch::syscall(SYS_getpid));
}

// Adds to the number of those in this process, of which this thread's is one if it is `inside`, and
// says how many there are then.
std::uint32_t count(std::int32_t by, bool inside) {
    const std::uint64_t process = this_process();
    std::uint64_t was = __atomic_load_n(&sections, __ATOMIC_ACQUIRE);
    for (;;) {
        const std::uint32_t before = was >> count_bits == process ? std::uint32_t(was) : inside;
        const std::uint32_t then = before + std::uint32_t(by);
        if (__atomic_compare_exchange_n(&sections, &was, process << count_bits | then, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return then;
    }
}

void wait(std::uint32_t value, std::uint64_t nanoseconds) {
    const timespec time{time_t(nanoseconds / 1'000'000'000), long(nanoseconds % 1'000'000'000)};
    arch::syscall(SYS_futex, &sections, FUTEX_WAIT_PRIVATE, value, &time, nullptr, 0);
}

} // namespace

extern "C" RFORK_API void rfork_block() {
    if (depth++ == 0)
        count(1, false);
}

extern "C" RFORK_API void rfork_unblock() {
    if (depth == 0 || --depth > 0)
        return;
    if (count(-1, true) == 0 && __atomic_load_n(&awaited, __ATOMIC_ACQUIRE))
        arch::syscall(SYS_futex, &sections, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

bool any_section_open() {
    return std::uint32_t(__atomic_load_n(&sections, __ATOMIC_ACQUIRE)) != 0;
}

Result<void> check_own_sections() {
    if (depth)
        return Error{EDEADLK, "this thread has called rfork_block(), and rfork_unblock() not yet: "
                              "leave that code first"};
    return {};
}

Result<void> wait_for_sections(int milliseconds) {
    count(0, false);
    const std::uint64_t deadline = monotonic_ns() + std::uint64_t(milliseconds) * 1'000'000;
    __atomic_store_n(&awaited, 1, __ATOMIC_RELEASE);
    std::uint32_t open;
    std::uint64_t now = 0;
    while ((open = std::uint32_t(__atomic_load_n(&sections, __ATOMIC_ACQUIRE))) != 0 &&
           (now = monotonic_ns()) < deadline)
        wait(open, deadline - now);
    __atomic_store_n(&awaited, 0, __ATOMIC_RELEASE);
    if (open)
        return Error{ETIMEDOUT, "other threads have been in code between rfork_block() and "
                                "rfork_unblock() for all of " +
                                    std::to_string(milliseconds) +
                                    " ms: let them leave it, or raise RFORK_TIMEOUT_MS"};
    return {};
}

UnfrozenList::UnfrozenList() {
    rfork_block();
    const std::uint32_t process = this_process();
    for (;;) {
        std::uint32_t by = __atomic_load_n(&list_taken, __ATOMIC_ACQUIRE);
        if (by == process)
            sched_yield();
        else if (__atomic_compare_exchange_n(&list_taken, &by, process, false, __ATOMIC_ACQUIRE,
                                             __ATOMIC_RELAXED))
            return;
    }
}

UnfrozenList::~UnfrozenList() {
    __atomic_store_n(&list_taken, 0, __ATOMIC_RELEASE);
    rfork_unblock();
}

} // namespace rfork::api
