// A counter of the threads that are in such code, and in each thread how deep. To enter never
// waits: a thread that freezes the process looks at the counter when the others stand still, and
// lets them go on if it is not zero.
#include "api/sections.h"

#include "api/clock.h"
#include "api/public.h"
#include "arch/arch.h"

#include <cerrno>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

namespace rfork::api {
namespace {

std::uint32_t open_sections = 0;
std::uint32_t awaited = 0;
std::uint32_t counted_in = 0; // the process: a child of fork(2) has none of the other threads
std::uint32_t list_taken = 0;
thread_local std::uint32_t depth = 0;

void count_anew_in_child() {
    const auto process = std::uint32_t(arch::syscall(SYS_getpid));
    if (__atomic_exchange_n(&counted_in, process, __ATOMIC_ACQ_REL) == process)
        return;
    __atomic_store_n(&open_sections, depth ? 1 : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&list_taken, 0, __ATOMIC_RELEASE);
}

void wait(std::uint32_t value, std::uint64_t nanoseconds) {
    const timespec time{time_t(nanoseconds / 1'000'000'000), long(nanoseconds % 1'000'000'000)};
    arch::syscall(SYS_futex, &open_sections, FUTEX_WAIT_PRIVATE, value, &time, nullptr, 0);
}

} // namespace

extern "C" RFORK_API void rfork_block() {
    count_anew_in_child();
    if (depth++ == 0)
        __atomic_add_fetch(&open_sections, 1, __ATOMIC_ACQ_REL);
}

extern "C" RFORK_API void rfork_unblock() {
    if (depth == 0 || --depth > 0)
        return;
    if (__atomic_sub_fetch(&open_sections, 1, __ATOMIC_ACQ_REL) == 0 &&
        __atomic_load_n(&awaited, __ATOMIC_ACQUIRE))
        arch::syscall(SYS_futex, &open_sections, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

bool any_section_open() {
    return __atomic_load_n(&open_sections, __ATOMIC_ACQUIRE) != 0;
}

Result<void> wait_for_sections(int milliseconds) {
    count_anew_in_child();
    if (depth)
        return Error{EDEADLK, "this thread has called rfork_block(), and rfork_unblock() not yet: "
                              "leave that code first"};
    const std::uint64_t deadline = monotonic_ns() + std::uint64_t(milliseconds) * 1'000'000;
    __atomic_store_n(&awaited, 1, __ATOMIC_RELEASE);
    std::uint32_t open;
    std::uint64_t now = 0;
    while ((open = __atomic_load_n(&open_sections, __ATOMIC_ACQUIRE)) != 0 &&
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
    while (__atomic_exchange_n(&list_taken, 1, __ATOMIC_ACQUIRE))
        sched_yield();
}

UnfrozenList::~UnfrozenList() {
    __atomic_store_n(&list_taken, 0, __ATOMIC_RELEASE);
    rfork_unblock();
}

} // namespace rfork::api
