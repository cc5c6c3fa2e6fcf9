#include "agent/agent.h"

#include "arch/arch.h"

#include <cerrno>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <sys/syscall.h>

namespace rfork::agent {
namespace {

// Without a time-out, which would take the place of what the kernel remembers of the system call
// that the thread was stopped in.
void wait_for(ThreadOrder& other) {
    while (!__atomic_load_n(&other.query.answered, __ATOMIC_ACQUIRE))
        arch::syscall(SYS_futex, &other.query.answered, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
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
    arch::syscall(SYS_futex, &order->query.answered, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

extern "C" [[gnu::used]] void agent_main(Order* order) {
    ask::ask_kernel_of_thread(order->own.query);
    ask::rfork_ask_process(&order->process);
    for (std::uint32_t i = 0; i < order->other_count; ++i)
        wait_for(order->others[i]);
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
