// Stopping, reading and releasing; what /proc tells of the threads is in tracer_tasks.cc.
#include "process/tracer.h"

#include "arch/x86_64/tracee.h"
#include "base/clock.h"
#include "process/restarted_calls.h"
#include "process/rseq.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <elf.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

namespace rfork::capture {
namespace {

constexpr std::uint64_t patience_ns = 10'000'000'000;
constexpr std::uint64_t all_signals = ~std::uint64_t(0);

template <class Address, class Data>
long trace(unsigned request, pid_t tid, Address address, Data data) {
    return arch::syscall(SYS_ptrace, request, tid, address, data);
}

long get_registers(pid_t tid, arch::Registers& registers) {
    iovec io{&registers, sizeof registers};
    return trace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io);
}

long set_registers(pid_t tid, const arch::Registers& registers) {
    iovec io{const_cast<arch::Registers*>(&registers), sizeof registers};
    return trace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io);
}

long set_mask(pid_t tid, std::uint64_t mask) {
    return trace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask);
}

constexpr std::uint64_t bit(int signal) {
    return std::uint64_t(1) << (signal - 1);
}

// Only what there is of it, since memory is touched for the first time here, and everybody waits.
bool read_xstate(pid_t tid, std::vector<std::uint8_t>& xstate) {
    std::uint8_t buffer[arch::xstate_limit];
    iovec io{buffer, sizeof buffer};
    if (trace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io) < 0) {
        io.iov_len = sizeof buffer; // a CPU without XSAVE
        if (trace(PTRACE_GETREGSET, tid, NT_FPREGSET, &io) < 0)
            return false;
    }
    xstate.assign(buffer, buffer + io.iov_len);
    return true;
}

Error cannot_stop(pid_t tid, int error) {
    return system_error(error, "cannot stop thread " + std::to_string(tid) + " to read it",
                        "a program that is being traced (strace, gdb) cannot travel when it has "
                        "several threads or pending signals, nor where ptrace(2) is forbidden "
                        "(kernel.yama.ptrace_scope 2 or 3, a container's seccomp profile)");
}

Error died(pid_t tid) {
    return {EIO, "thread " + std::to_string(tid) + " came to its end while it was being read"};
}

// Waits for a change of any tracee; SIGCHLD is blocked, and stays pending from when it came.
bool wait_for_change(std::uint64_t deadline) {
    const std::uint64_t now = monotonic_ns();
    if (now >= deadline)
        return false;
    const std::uint64_t set = bit(SIGCHLD), left = deadline - now;
    const timespec time{time_t(left / 1'000'000'000), long(left % 1'000'000'000)};
    arch::syscall(SYS_rt_sigtimedwait, &set, nullptr, &time, sizeof set);
    return true;
}

enum class Change { stopped, gone, nothing };

// One look at a tracee. A signal that it was about to receive is given to it.
Change look(pid_t tid) {
    for (;;) {
        int status = 0;
        const long r = arch::syscall(SYS_wait4, tid, &status, __WALL | WNOHANG, nullptr);
        if (r == 0)
            return Change::nothing;
        if (r < 0 || !WIFSTOPPED(status))
            return Change::gone;
        if (status >> 16 == PTRACE_EVENT_STOP)
            return Change::stopped;
        trace(PTRACE_CONT, tid, 0, WSTOPSIG(status));
    }
}

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

Result<void> Tracer::stop() {
    deadline_ = monotonic_ns() + patience_ns;
    Result<void> done = stop_all();
    for (std::size_t i = 0; done && i < tracees_.size(); ++i)
        done = read(tracees_[i]);
    if (done)
        done = query();
    if (!done)
        release();
    return done;
}

// Threads make threads until each of them stands still: looked for until a look finds no more. A
// list that is read while threads end may lack some of those that do not, so they are counted too.
Result<void> Tracer::stop_all() {
    for (;;) {
        const Result<std::vector<Task>> tasks = list();
        if (!tasks)
            return tasks.error();
        if (Result<void> r = check_filters(*tasks); !r)
            return r;
        std::size_t ended = 0;
        const Result<bool> any = seize_new(*tasks, ended);
        if (!any)
            return any.error();
        if (!*any) {
            if (tracees_.size() + 1 + ended == count_threads())
                return {};
            if (monotonic_ns() > deadline_)
                return Error{EAGAIN, "a thread of the process does not come to its end, nor does "
                                     "it stop: try again later"};
            arch::syscall(SYS_sched_yield);
        }
        for (Tracee& tracee : tracees_)
            if (!tracee.stopped)
                if (Result<void> r = wait_until_stopped(tracee); !r)
                    return r;
        std::erase_if(tracees_, [](const Tracee& t) { return !t.stopped; });
    }
}

bool Tracer::is_known(pid_t tid) const {
    return std::any_of(tracees_.begin(), tracees_.end(),
                       [tid](const Tracee& t) { return t.tid == tid; });
}

// Whether there was any that is not yet traced.
// `ended`: how many have, and are still there.
Result<bool> Tracer::seize_new(const std::vector<Task>& tasks, std::size_t& ended) {
    bool any = false;
    tracees_.reserve(tasks.size());
    for (const Task& task : tasks) {
        if (task.tid == caller_ || is_known(task.tid))
            continue;
        const long r = trace(PTRACE_SEIZE, task.tid, 0, 0);
        if (r == -ESRCH || (r == -EPERM && has_ended(task))) {
            ++ended;
            continue;
        }
        if (r < 0)
            return cannot_stop(task.tid, int(-r));
        trace(PTRACE_INTERRUPT, task.tid, 0, 0);
        tracees_.emplace_back();
        tracees_.back().tid = task.tid;
        any = true;
    }
    return any;
}

Result<void> Tracer::wait_until_stopped(Tracee& tracee) {
    for (;;) {
        switch (look(tracee.tid)) {
        case Change::stopped:
            tracee.stopped = true;
            return {};
        case Change::gone:
            return {};
        case Change::nothing:
            if (is_main_and_ended(tracee.tid))
                return {};
            if (!wait_for_change(deadline_))
                return Error{EAGAIN,
                             "thread " + std::to_string(tracee.tid) +
                                 " does not stop: it has been in a system call that cannot be "
                                 "interrupted (a file server that does not answer, vfork) for ten "
                                 "seconds: try again later"};
        }
    }
}

const UnsafeCode* Tracer::unsafe_code_at(std::uint64_t address) const {
    for (const UnsafeCode& code : unsafe_code_)
        if (code.contains(address))
            return &code;
    return nullptr;
}

Result<void> Tracer::read_position(Tracee& tracee) {
    std::uint64_t mask = 0;
    if (trace(PTRACE_GETSIGMASK, tracee.tid, sizeof mask, &mask) < 0 ||
        get_registers(tracee.tid, tracee.registers) < 0)
        return died(tracee.tid);
    if (!tracee.stepped)
        tracee.mask = mask;
    return {};
}

Result<void> Tracer::leave_zones(Tracee& tracee) {
    constexpr unsigned enough = 100'000;
    for (unsigned tries = 0; tries < enough; ++tries) {
        const UnsafeCode* code = unsafe_code_at(tracee.registers.rip);
        if (!code)
            return {};
        if (Result<void> r = code->by_steps ? step(tracee) : run_on(tracee); !r)
            return r;
    }
    return Error{EAGAIN, "thread " + std::to_string(tracee.tid) +
                             " does not come out of the vDSO: try again"};
}

// With signals blocked, since a handler might not come back. But for SIGTRAP, with which the kernel
// tells of the step: blocked, it would be unblocked and its action forgotten.
Result<void> Tracer::step(Tracee& tracee) {
    int signal = 0;
    tracee.stepped = touched_ = true; // query() puts the mask back in force
    do {
        int status = 0;
        if (set_mask(tracee.tid, all_signals & ~bit(SIGTRAP)) < 0 ||
            trace(PTRACE_SINGLESTEP, tracee.tid, 0, signal) < 0 ||
            arch::syscall(SYS_wait4, tracee.tid, &status, __WALL, nullptr) < 0 ||
            !WIFSTOPPED(status))
            return died(tracee.tid);
        const bool of_signal = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP;
        signal = of_signal ? WSTOPSIG(status) : 0; // SIGSTOP, which no mask keeps away
    } while (signal);
    return read_position(tracee);
}

Result<void> Tracer::run_on(Tracee& tracee) {
    if (tracee.stepped && set_mask(tracee.tid, tracee.mask) < 0)
        return died(tracee.tid);
    tracee.stepped = false;
    if (trace(PTRACE_CONT, tracee.tid, 0, 0) < 0)
        return died(tracee.tid);
    trace(PTRACE_INTERRUPT, tracee.tid, 0, 0);
    tracee.stopped = false;
    if (Result<void> r = wait_until_stopped(tracee); !r)
        return r;
    return tracee.stopped ? read_position(tracee) : died(tracee.tid);
}

// Threads made by pthread_create(3) share both. Where kcmp(2) is forbidden, they are taken to.
Result<void> Tracer::check_sharing(const Tracee& tracee) const {
    for (const int what : {KCMP_FS, KCMP_FILES}) {
        if (arch::syscall(SYS_kcmp, caller_, tracee.tid, what, 0, 0) <= 0)
            continue;
        return Error{ENOTSUP, "thread " + std::to_string(tracee.tid) + " has " +
                                  (what == KCMP_FS ? "a working directory" : "descriptors") +
                                  " of its own (unshare(2)), which an image cannot carry yet: call "
                                  "rfork() before that"};
    }
    return {};
}

bool Tracer::read_rseq(pid_t tid, kinds::ThreadRecord& record) {
    RseqConfiguration rseq;
    if (trace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof rseq, &rseq) < 0)
        return false;
    record.rseq = rseq.address;
    record.rseq_size = rseq.size;
    record.rseq_signature = rseq.signature;
    return true;
}

// Before Linux 6.4 nobody can tell.
Result<void> Tracer::check_dispatch(pid_t tid) const {
    constexpr unsigned get_configuration = 0x4211; // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
    struct {
        std::uint64_t mode, selector, offset, length;
    } dispatch{};
    if (trace(get_configuration, tid, sizeof dispatch, &dispatch) < 0 || dispatch.mode == 0)
        return {};
    return Error{ENOTSUP, "thread " + std::to_string(tid) +
                              " handles system calls by itself (PR_SET_SYSCALL_USER_DISPATCH), "
                              "which an image cannot carry yet: call rfork() before that"};
}

Result<void> Tracer::read(Tracee& tracee) {
    const pid_t tid = tracee.tid;
    kinds::ThreadRecord& record = tracee.thread.record;
    if (Result<void> r = read_position(tracee); !r)
        return r;
    if (Result<void> r = leave_zones(tracee); !r)
        return r;

    if (!read_xstate(tid, tracee.thread.xstate))
        return died(tid);
    record.tid = tid;
    record.signal_mask = tracee.mask;
    arch::syscall(SYS_get_robust_list, tid, &record.robust_list, &record.robust_list_size);
    read_rseq(tid, record);
    if (Result<void> r = check_sharing(tracee); !r)
        return r;
    if (Result<void> r = check_dispatch(tid); !r)
        return r;
    return remember(tracee);
}

// What a copy will need to know of the thread's system call, and how the thread goes on here.
Result<void> Tracer::remember(Tracee& tracee) {
    arch::Registers& here = tracee.registers;
    arch::Registers& copy = tracee.thread.record.registers;
    const arch::Interrupted call = arch::interruption(here);
    // Here, too: the query leaves the sequence without the kernel taking it for aborted.
    if (call == arch::Interrupted::no)
        here.rip = after_abort(tracee.thread.record.rseq, here.rip);
    copy = here;
    if (call == arch::Interrupted::said_eintr)
        arch::let_kernel_restart(here);
    if (call != arch::Interrupted::by_stop)
        return {};
    remember_call(tracee.tid, here);
    if (recall_call(tracee.tid, copy))
        return {};
    return Error{EAGAIN,
                 "thread " + std::to_string(tracee.tid) +
                     " is in a system call that somebody has stopped and continued "
                     "(SIGSTOP, a debugger), and the kernel does not tell which: try again"};
}

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

arch::Registers Tracer::call_of_query(std::size_t index) {
    const std::uint8_t* top = stacks_.data() + (index + 1) * ask::query_stack_size;
    return arch::calling(
        tracees_[index].registers, reinterpret_cast<std::uint64_t>(&ask::rfork_ask_thread),
        reinterpret_cast<std::uint64_t>(&queries_[index]), reinterpret_cast<std::uint64_t>(top));
}

// All at once, so that they can answer at the same time.
Result<void> Tracer::query() {
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
bool Tracer::bring_back(Tracee& tracee) {
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

// Each is made to answer the thread query once more, which it does not come back from by itself.
Result<void> Tracer::park() {
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

void Tracer::release() {
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

// What the dead tracer did last is not known, so the thread itself says where it is.
bool Tracer::rescue(const Tracee& tracee) {
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

void Tracer::rescue() {
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

std::vector<Thread> Tracer::take_threads() {
    std::vector<Thread> threads;
    threads.reserve(tracees_.size());
    for (Tracee& tracee : tracees_)
        threads.push_back(std::move(tracee.thread));
    return threads;
}

} // namespace rfork::capture
