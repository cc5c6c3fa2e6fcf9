#include "agent/agent.h"

#include "arch/arch.h"

#include <cerrno>
#include <linux/prctl.h>
#include <sys/syscall.h>

namespace rfork::agent {
namespace {

// Not by a futex: with a time-out it would take the place of what the kernel remembers of the system
// call that the thread was stopped in, and without one it waits for ever for a thread that has been
// put back unasked, when nobody fetches this one.
bool wait_for(ThreadOrder& other) {
    constexpr unsigned yields = 16, enough = 10'000;
    for (unsigned tries = 0; tries < enough; ++tries) {
        if (__atomic_load_n(&other.query.answered, __ATOMIC_ACQUIRE))
            return true;
        Timespec a_moment{0, tries < 100 ? 20'000 : 1'000'000};
        if (tries < yields)
            arch::syscall(SYS_sched_yield);
        else
            arch::syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &a_moment, nullptr);
    }
    return false;
}

void ask_timer(TimerTimes& timer) {
    arch::syscall(SYS_timer_gettime, timer.id, &timer.interval);
}

// It is held from its first instruction on, by the tracer that has made this process make it, and
// ends when it is let go, however that comes.
[[noreturn]] void live_as_twin() {
    arch::syscall(SYS_prctl, PR_SET_NAME, twin_name, 0, 0, 0);
    for (;;)
        arch::syscall(SYS_exit_group, 0);
}

// No exit signal: neither a handler nor wait(-1) ever sees it.
std::int64_t make_twin() {
    const long twin = arch::syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (twin == 0)
        live_as_twin();
    return twin;
}

void advise(const Order& order, std::int32_t Advice::*which, std::int64_t& error) {
    for (std::uint32_t i = 0; i < order.advice_count; ++i) {
        const Advice& advice = order.advice[i];
        const long r = arch::syscall(SYS_madvise, advice.start, advice.size, advice.*which);
        if (r < 0 && !error)
            error = r;
    }
}

} // namespace

extern "C" [[gnu::used]] void agent_thread(ThreadOrder* order) {
    ask::ask_kernel_of_thread(order->query);
    __atomic_store_n(&order->query.answered, 1, __ATOMIC_RELEASE);
}

extern "C" [[gnu::used]] void agent_main(Order* order) {
    ask::ask_kernel_of_thread(order->own.query);
    ask::rfork_ask_process(&order->process);
    for (std::uint32_t i = 0; i < order->other_count; ++i)
        if (!wait_for(order->others[i]))
            return;
    ask::rfork_ask_timers(&order->process);
    for (std::uint32_t i = 0; i < order->timer_count; ++i)
        ask_timer(order->timers[i]);
    advise(*order, &Advice::before, order->advice_error);
    order->twin = order->advice_error ? order->advice_error : make_twin();
    std::int64_t ignored = 0;
    advise(*order, &Advice::after, ignored);
    __atomic_store_n(&order->done, 1, __ATOMIC_RELEASE);
}

} // namespace rfork::agent
