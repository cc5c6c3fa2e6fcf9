// ITIMER_REAL has a third state besides running and disarmed: the kernel starts the next interval
// only when the program takes the SIGALRM of the last one, so that with the signal blocked, or
// ignored, the timer stands still with an interval and nothing remaining. setitimer(2) cannot ask
// for that state; a timer that has run out is in it. The SIGALRM that this takes is discarded:
// whether one is pending is another record's business (state/pending_signal).
#include "format/records/interval_timers.h"
#include "stub/stub.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

struct Value { // struct itimerval
    std::int64_t interval_s, interval_us, remaining_s, remaining_us;
};

void set(const Stub& stub, unsigned which, const kinds::IntervalTimer& timer) {
    constexpr std::uint64_t second = 1000000;
    const Value value = {
        std::int64_t(timer.interval / second), std::int64_t(timer.interval % second),
        std::int64_t(timer.remaining / second), std::int64_t(timer.remaining % second)};
    if (long r = arch::syscall(__NR_setitimer, which, &value, nullptr); r < 0)
        fail(stub, int(-r), "cannot set one of the program's interval timers again");
}

bool runs(unsigned which) {
    Value value{};
    arch::syscall(__NR_getitimer, which, &value);
    return value.remaining_s || value.remaining_us;
}

void discard(int signal) {
    struct {
        std::uint64_t handler, flags, restorer, mask;
    } ignore = {1, 0, 0, 0}, before;
    arch::syscall(__NR_rt_sigaction, signal, &ignore, &before, sizeof ignore.mask);
    arch::syscall(__NR_rt_sigaction, signal, &before, nullptr, sizeof ignore.mask);
}

void set_stopped(const Stub& stub, const kinds::IntervalTimer& timer) {
    set(stub, ITIMER_REAL, {timer.interval, 1});
    const Deadline deadline(1);
    while (runs(ITIMER_REAL))
        if (deadline.passed())
            fail(stub, ETIMEDOUT, "the program's interval timer (ITIMER_REAL) does not run out");
    discard(SIGALRM);
}

} // namespace

void restore_interval_timers(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::IntervalTimersRecord>(header);
    for (unsigned which = 0; which < kinds::interval_timer_count; ++which) {
        const kinds::IntervalTimer& timer = record.timers[which];
        if (which == ITIMER_REAL && timer.interval && !timer.remaining)
            set_stopped(stub, timer);
        else if (timer.interval || timer.remaining)
            set(stub, which, timer);
    }
}

} // namespace rfork::stub
