// What is pending, and thus how a thread's broken-off system call goes on in a copy.
//
// The queues are read of stopped threads. A signal that a thread has yet to handle may end its
// system call; here the kernel sees to that, in a copy the registers have to say it.
#include "process/tracer.h"

#include "arch/x86_64/tracee.h"
#include "process/ptrace.h"

#include <cerrno>
#include <csignal>

namespace rfork::capture {

std::uint64_t pending_for(std::int32_t tid, const std::vector<PendingSignal>& signals) {
    std::uint64_t set = 0;
    for (const PendingSignal& signal : signals)
        if (signal.tid == tid)
            set |= bit(number_of(signal));
    return set;
}

// Whether the thread has a signal to handle before it goes on, and whether its call is made again
// after that.
bool Tracer::will_be_handled(std::uint64_t signals, bool& restarts) {
    for (; signals; signals &= signals - 1) {
        const kinds::SignalAction action = action_of(__builtin_ctzll(signals) + 1);
        restarts = action.flags & SA_RESTART;
        if (action.handler > 1) // neither SIG_DFL nor SIG_IGN
            return true;
    }
    return false;
}

// How a thread goes on in a copy, where no kernel remembers its system call.
void Tracer::resolve_interrupted_call(kinds::ThreadRecord& record, std::uint64_t signals) {
    arch::Registers& r = record.registers;
    const arch::Interrupted call = arch::interruption(r);
    bool restarts = false;
    if (call == arch::Interrupted::no) {
        r.orig_rax = ~std::uint64_t(0);
    } else if (!will_be_handled(signals, restarts) || call == arch::Interrupted::restart ||
               (restarts && call == arch::Interrupted::by_action)) {
        arch::make_call_again(r);
    } else {
        arch::end_call_with(r, EINTR);
    }
}

// When those of the process are known, and its own of a caller.
Result<void> Tracer::read_queues_of_threads(std::vector<PendingSignal>& to) {
    const std::uint64_t for_all = pending_for(0, to);
    for (const Tracee& t : tracees_)
        if (Result<void> r = read_pending_signals(t.tid, Queue::thread, t.pending & ~for_all,
                                                  t.thread.record.tid, to);
            !r)
            return r;
    for (Tracee& t : tracees_)
        resolve_interrupted_call(t.thread.record,
                                 (for_all | pending_for(t.thread.record.tid, to)) & ~t.mask);
    return {};
}

} // namespace rfork::capture
