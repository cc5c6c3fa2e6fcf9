// While a thread's registers are not its own: what it is made to ask for, and its way back.
//
// A thread answers a query (ask/thread_query.h) on a stack of ours, all signals blocked, and is put
// back to where it had been stopped. Parked threads run the same code, untraced, and stay in it.
// Whatever happens in between, somebody has to put them back: bring_back() does it for a tracer
// that is still there, rescue() for one that has died, after what it can see of the thread.
#include "process/sibling_tracer.h"

#include "arch/x86_64/tracee.h"
#include "base/clock.h"
#include "process/ptrace.h"
#include "process/refused.h"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <linux/futex.h>
#include <sys/wait.h>

namespace rfork::capture {
namespace {

// Lets a thread that answers go on after what no mask keeps away: SIGCONT, of which the kernel
// tells a tracer by a stop of its own, and SIGSTOP. False if it is gone.
bool keep_going(pid_t tid) {
    int status = 0;
    const long r = arch::syscall(SYS_wait4, tid, &status, __WALL | WNOHANG, nullptr);
    if (r == 0)
        return true;
    if (r < 0 || !WIFSTOPPED(status))
        return false;
    const int signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
    trace(PTRACE_CONT, tid, 0, signal);
    return true;
}

} // namespace

arch::Registers SiblingTracer::call_of_query(std::size_t index) {
    const std::uint8_t* top = stacks_.data() + (index + 1) * ask::query_stack_size;
    return arch::calling(
        tracees_[index].registers, reinterpret_cast<std::uint64_t>(&ask::rfork_ask_thread),
        reinterpret_cast<std::uint64_t>(&queries_[index]), reinterpret_cast<std::uint64_t>(top));
}

// All at once, so that they can answer at the same time.
Result<void> SiblingTracer::query() {
    ask::Rights own_rights{}; // of this process, which are those of the thread that has made it
    ask::ask_rights(own_rights);
    queries_.resize(tracees_.size());
    stacks_.resize(tracees_.size() * ask::query_stack_size);
    touched_ = true;
    for (std::size_t i = 0; i < tracees_.size(); ++i) {
        Tracee& tracee = tracees_[i];
        tracee.querying = true;
        if (set_mask(tracee.tid, all_signals) < 0 ||
            set_registers(tracee.tid, call_of_query(i)) < 0 ||
            trace(PTRACE_CONT, tracee.tid, 0, 0) < 0)
            return died(tracee.tid);
    }
    for (std::size_t first = 0; first < tracees_.size();) {
        if (__atomic_load_n(&queries_[first].answered, __ATOMIC_ACQUIRE)) {
            trace(PTRACE_INTERRUPT, tracees_[first++].tid, 0, 0);
            continue;
        }
        constexpr timespec a_moment{0, 1'000'000};
        if (arch::syscall(SYS_futex, &queries_[first].answered, FUTEX_WAIT_PRIVATE, 0, &a_moment,
                          nullptr, 0) != -ETIMEDOUT)
            continue;
        if (monotonic_ns() > deadline_)
            return Error{EAGAIN, "thread " + std::to_string(tracees_[first].tid) +
                                     " has not answered for ten seconds: this host has too much to "
                                     "do; try again later"};
        for (std::size_t i = first; i < tracees_.size(); ++i)
            if (!queries_[i].answered && !keep_going(tracees_[i].tid))
                return died(tracees_[i].tid);
    }
    for (std::size_t i = 0; i < tracees_.size(); ++i) {
        if (!bring_back(tracees_[i]))
            return died(tracees_[i].tid);
        ask::take_answers(queries_[i], tracees_[i].thread.record);
        if (queries_[i].refused.call)
            return refused_by_surroundings(queries_[i].refused);
        tracees_[i].pending = queries_[i].pending;
        if (queries_[i].rights != own_rights)
            return Error{ENOTSUP, "thread " + std::to_string(tracees_[i].tid) +
                                      " has other rights than the calling thread (user, group, "
                                      "capabilities, no_new_privs), which an image cannot "
                                      "carry yet: call rfork() before it changes them"};
    }
    touched_ = false;
    return {};
}

// From an query to where the thread had been stopped. A SIGSTOP that comes first is handed on.
bool SiblingTracer::bring_back(Tracee& tracee) {
    tracee.querying = tracee.stepped = false;
    int status = 0;
    while (arch::syscall(SYS_wait4, tracee.tid, &status, __WALL, nullptr) == tracee.tid &&
           WIFSTOPPED(status)) {
        if (status >> 16 == PTRACE_EVENT_STOP)
            return set_registers(tracee.tid, tracee.registers) >= 0 &&
                   set_mask(tracee.tid, tracee.mask) >= 0;
        trace(PTRACE_CONT, tracee.tid, 0, WSTOPSIG(status));
    }
    return false;
}

void SiblingTracer::release() {
    if (parked_)
        return;
    for (Tracee& tracee : tracees_) {
        if (tracee.querying) {
            trace(PTRACE_INTERRUPT, tracee.tid, 0, 0);
            bring_back(tracee);
        } else if (tracee.stepped) {
            set_mask(tracee.tid, tracee.mask);
        }
        trace(PTRACE_DETACH, tracee.tid, 0, 0);
    }
    touched_ = false;
    tracees_.clear();
}

// A signal without an entry in a queue is known by its bit alone, and the bits that a thread is
// told of are its own and the process's: so the process's queue comes first, then the caller's, and
// what the caller is told of beyond both counts as the process's.
Result<void> SiblingTracer::read_pending(std::uint64_t callers, std::vector<PendingSignal>& to) {
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
    add_without_entry(callers & ~(pending_for(0, to) | pending_for(caller_, to)), 0, to);
    trace(PTRACE_DETACH, caller_, 0, 0);
    return done ? read_queues_of_threads(to) : done;
}

kinds::SignalAction SiblingTracer::action_of(int signal) {
    kinds::SignalAction action{};
    arch::syscall(SYS_rt_sigaction, signal, nullptr, &action, sizeof action.mask);
    return action;
}

// What the calling thread has as well lets it pass.
std::string SiblingTracer::filters_to_have() const {
    const Result<std::vector<Task>> tasks = list();
    return tasks ? filters_of(caller_, *tasks) : std::string();
}

std::string SiblingTracer::remedy(const char* before_the_call) const {
    return std::string(": call rfork() ") + before_the_call;
}

// Each is made to answer the thread query once more, which it does not come back from by itself.
Result<void> SiblingTracer::park() {
    touched_ = true;
    Result<void> done;
    for (std::size_t i = 0; done && i < tracees_.size(); ++i)
        if (set_mask(tracees_[i].tid, all_signals) < 0 ||
            set_registers(tracees_[i].tid, call_of_query(i)) < 0)
            done = died(tracees_[i].tid);
    for (const Tracee& tracee : tracees_) {
        if (done) {
            trace(PTRACE_DETACH, tracee.tid, 0, 0);
        } else {
            set_registers(tracee.tid, tracee.registers);
            set_mask(tracee.tid, tracee.mask);
        }
    }
    parked_ = bool(done);
    return done;
}

// What the dead tracer did last is not known, so the thread itself says where it is.
bool SiblingTracer::rescue(const Tracee& tracee) {
    const long r = trace(PTRACE_SEIZE, tracee.tid, 0, 0);
    if (r < 0)
        return r == -ESRCH;
    trace(PTRACE_INTERRUPT, tracee.tid, 0, 0);
    Tracee now;
    now.tid = tracee.tid;
    deadline_ = monotonic_ns() + patience_ns;
    if (!wait_until_stopped(now))
        return false;
    if (now.stopped && read_position(now)) {
        const auto start = reinterpret_cast<std::uint64_t>(stacks_.data());
        if (now.registers.rsp - start < stacks_.size())
            set_registers(tracee.tid, tracee.registers);
        if ((now.mask | bit(SIGTRAP) | bit(SIGKILL) | bit(SIGSTOP)) == all_signals)
            set_mask(tracee.tid, tracee.mask);
    }
    trace(PTRACE_DETACH, tracee.tid, 0, 0);
    return true;
}

void SiblingTracer::rescue() {
    bool all = true;
    for (Tracee& tracee : tracees_) {
        tracee.rescued = tracee.rescued || rescue(tracee);
        all = tracee.rescued && all;
    }
    if (!all)
        return;
    tracees_.clear();
    touched_ = parked_ = false;
}

} // namespace rfork::capture
