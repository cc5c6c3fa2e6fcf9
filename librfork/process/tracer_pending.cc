// What is pending, and thus how a thread's broken-off system call goes on in a copy.
//
// The queues are read of stopped threads, and the caller is one of those for a moment only. A
// signal that a thread has yet to handle may end its system call; here the kernel sees to that, in
// a copy the registers have to say it.
#include "process/tracer.h"

#include "arch/x86_64/tracee.h"
#include "base/clock.h"
#include "process/ptrace.h"

#include <cerrno>
#include <csignal>

namespace rfork::capture {
namespace {

// Whether the thread has a signal to handle before it goes on, and whether its call is made again
// after that.
bool will_be_handled(std::uint64_t signals, bool& restarts) {
    for (; signals; signals &= signals - 1) {
        struct {
            std::uint64_t handler, flags, restorer, mask;
        } action{};
        arch::syscall(SYS_rt_sigaction, __builtin_ctzll(signals) + 1, nullptr, &action,
                      sizeof action.mask);
        restarts = action.flags & SA_RESTART;
        if (action.handler > 1) // neither SIG_DFL nor SIG_IGN
            return true;
    }
    return false;
}

// How a thread goes on in a copy, where no kernel remembers its system call.
void resolve_interrupted_call(kinds::ThreadRecord& record, std::uint64_t signals) {
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

std::uint64_t set_for(std::int32_t tid, const std::vector<PendingSignal>& signals) {
    std::uint64_t set = 0;
    for (const PendingSignal& signal : signals)
        if (signal.tid == tid)
            set |= bit(number_of(signal));
    return set;
}

} // namespace

// A signal without an entry in a queue is known by its bit alone, and the bits that a thread is
// told of are its own and the process's: so the process's queue comes first, then the caller's, and
// what the caller is told of beyond both counts as the process's.
Result<void> Tracer::read_pending(std::uint64_t callers, std::vector<PendingSignal>& to) {
    Tracee caller;
    caller.tid = caller_;
    deadline_ = monotonic_ns() + patience_ns;
    if (long r = trace(PTRACE_SEIZE, caller_, 0, 0); r < 0)
        return cannot_stop(caller_, int(-r));
    trace(PTRACE_INTERRUPT, caller_, 0, 0);
    Result<void> done = wait_until_stopped(caller);
    if (done)
        done = check_dispatch(caller_);
    knows_callers_rseq_ = read_rseq(caller_, callers_rseq_);
    if (done)
        done = read_pending_signals(caller_, Queue::process, 0, 0, to);
    if (done)
        done = read_pending_signals(caller_, Queue::thread, 0, caller_, to);
    add_without_entry(callers & ~(set_for(0, to) | set_for(caller_, to)), 0, to);
    const std::uint64_t for_all = set_for(0, to);
    trace(PTRACE_DETACH, caller_, 0, 0);
    for (std::size_t i = 0; done && i < tracees_.size(); ++i) {
        const Tracee& t = tracees_[i];
        done = read_pending_signals(t.tid, Queue::thread, t.pending & ~for_all, t.tid, to);
    }
    for (Tracee& t : tracees_)
        resolve_interrupted_call(t.thread.record, (for_all | set_for(t.tid, to)) & ~t.mask);
    return done;
}

} // namespace rfork::capture
