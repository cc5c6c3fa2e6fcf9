#include "process/timers_and_signals.h"

#include "format/records/pending_signal.h"

#include <csignal>
#include <cstring>
#include <sys/time.h>

namespace rfork::capture {
namespace {

template <class Timer>
bool runs_out_within(const Timer& timer, std::uint64_t window) {
    return timer.remaining && timer.remaining <= window;
}

// What remains at the end of a window in which the timer has run out once.
template <class Timer>
std::uint64_t remaining_after(const Timer& timer, std::uint64_t window) {
    const std::uint64_t next = timer.remaining + timer.interval;
    return !timer.interval ? 0 : next > window ? next - window : 1;
}

bool is_from_kernel(const PendingSignal& signal, int number) {
    kinds::SignalInfo info;
    std::memcpy(&info, signal.info.data(), sizeof info);
    return info.number == number && info.code == SI_KERNEL;
}

} // namespace

void advance_timers(std::uint64_t read, const std::vector<PendingSignal>& pending,
                    ask::ProcessAnswers& answers, std::vector<PosixTimer>& timers) {
    constexpr int signals[kinds::interval_timer_count] = {SIGALRM, SIGVTALRM, SIGPROF};
    if (read < answers.timers_asked)
        return;
    const std::uint64_t window = read - answers.timers_asked;
    for (const PendingSignal& signal : pending) {
        for (PosixTimer& timer : timers)
            if (runs_out_within(timer, window) && is_from(timer, signal))
                timer.remaining = remaining_after(timer, window);
        for (unsigned which = 0; which < kinds::interval_timer_count; ++which) {
            kinds::IntervalTimer& timer = answers.interval_timers[which];
            const std::uint64_t microseconds = window / 1000 + 1;
            if (!runs_out_within(timer, microseconds) || !is_from_kernel(signal, signals[which]))
                continue;
            // ITIMER_REAL stands still until its signal is taken; the others go on.
            timer.remaining = which == ITIMER_REAL ? 0 : remaining_after(timer, microseconds);
        }
    }
}

} // namespace rfork::capture
