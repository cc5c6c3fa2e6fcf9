#include "traced/outside_tracer.h"

#include "base/clock.h"
#include "base/proc.h"
#include "base/unique_fd.h"
#include "process/ptrace.h"
#include "process/refused.h"
#include "process/stops.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>

namespace rfork::capture {

Position OutsideTracer::position_of(const Tracee& tracee) const {
    return {tracee.tid, tracee.registers, tracee.thread.record.registers, tracee.mask,
            tracee.thread.xstate};
}

Result<std::vector<MemoryMapEntry>> OutsideTracer::read_map() const {
    // Of a thread that lives; the main one may have ended.
    const std::string name = directory_ + "/task/" + std::to_string(tracees_.front().tid) + "/maps";
    const UniqueFd maps(open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!maps)
        return died(tracees_.front().tid);
    return read_memory_map(maps.get());
}

// By the first thread that offers a safe place, which becomes the agent.
Result<void> OutsideTracer::enter(Foothold& foothold) {
    const Result<std::vector<MemoryMapEntry>> map = read_map();
    if (!map)
        return map.error();
    Result<void> entered = died(main_);
    for (std::size_t i = 0; i < tracees_.size(); ++i) {
        entered = foothold.enter(position_of(tracees_[i]), *map);
        if (entered)
            std::swap(tracees_[0], tracees_[i]);
        if (entered || entered.error().code != EAGAIN)
            break;
    }
    return entered;
}

void OutsideTracer::take_away(Leftovers leftovers) {
    leftovers_ = std::move(leftovers);
    // Before others: a foothold may be in the vDSO, which is such code as a whole.
    unsafe_code_.insert(unsafe_code_.begin(), leftovers_.code.begin(), leftovers_.code.end());
}

Result<void> OutsideTracer::clean(Foothold& foothold) {
    for (const pid_t twin : leftovers_.twins)
        if (const Result<long> r =
                foothold.call(SYS_wait4, std::uint64_t(twin), 0, __WALL | WNOHANG, 0);
            !r)
            return r.error();
    for (const Range& room : leftovers_.rooms)
        if (const Result<long> r = foothold.call(SYS_munmap, room.start, room.size()); !r)
            return r.error();
    leftovers_ = {};
    return {};
}

Result<void> OutsideTracer::list_timers() {
    std::string text;
    const int error = read_text(AT_FDCWD, (directory_ + "/timers").c_str(), text);
    if (error && error != ENOENT)
        return system_error(error, "cannot read /proc/PID/timers");
    Result<std::vector<PosixTimer>> timers = parse_posix_timers(text);
    if (!timers)
        return timers.error();
    timers_ = std::move(*timers);
    orders_.timers.clear();
    for (const PosixTimer& timer : timers_)
        orders_.timers.push_back(timer.id);
    return {};
}

Result<void> OutsideTracer::query() {
    if (Result<void> r = list_timers(); !r)
        return r;
    Foothold foothold(main_);
    if (Result<void> r = enter(foothold); !r)
        return r;
    std::vector<Position> positions;
    for (const Tracee& tracee : tracees_)
        positions.push_back(position_of(tracee));
    Result<void> done = clean(foothold);
    if (done)
        done = room_.make(main_, foothold, positions, orders_);
    room_range_ = room_.range();
    if (done)
        done = send_to_room(positions);
    if (done)
        done = await_agent();
    deadline_ = monotonic_ns() + patience_ns;
    for (std::size_t i = 0; i < tracees_.size(); ++i)
        if (tracees_[i].querying)
            if (Result<void> r = bring_back(i); !r && done)
                done = r;
    // One that does not stop comes back by itself; the room stays for it, and is a leftover.
    const bool all_are_back =
        std::none_of(tracees_.begin(), tracees_.end(), [](const Tracee& t) { return t.querying; });
    if (done)
        done = take_answers();
    if (twin_ && done)
        foothold.erase_in(twin_);
    if (twin_ && !done && all_are_back)
        drop_twin(foothold);
    if (all_are_back)
        if (Result<void> r = room_.give_back(foothold); !r && done)
            done = r;
    return done;
}

// Nobody will look at it. The process waits for it at once, so that no zombie is left.
void OutsideTracer::drop_twin(Foothold& foothold) {
    const Result<agent::Order> order = room_.read_order(main_);
    arch::syscall(SYS_kill, twin_, SIGKILL);
    arch::syscall(SYS_wait4, twin_, nullptr, __WALL, nullptr);
    if (order && order->twin > 0)
        (void)bool(foothold.call(SYS_wait4, std::uint64_t(order->twin), 0, __WALL | WNOHANG, 0));
    twin_ = 0;
}

// Registers first: with its own mask in our code a thread comes back, without it nowhere.
Result<void> OutsideTracer::send_to_room(const std::vector<Position>& positions) {
    trace(PTRACE_SETOPTIONS, tracees_[0].tid, 0, PTRACE_O_TRACECLONE);
    for (std::size_t i = tracees_.size(); i-- > 0;) {
        Tracee& tracee = tracees_[i];
        tracee.querying = true;
        if (set_registers(tracee.tid, room_.registers_for(i, positions[i])) < 0 ||
            set_mask(tracee.tid, all_signals) < 0 || trace(PTRACE_CONT, tracee.tid, 0, 0) < 0)
            return died(tracee.tid);
    }
    return {};
}

// A process that is stopped by SIGSTOP, or is being so, has them stop once more.
void OutsideTracer::let_others_answer() {
    for (std::size_t i = 1; i < tracees_.size(); ++i) {
        siginfo_t info{};
        if (arch::syscall(SYS_waitid, P_PID, tracees_[i].tid, &info,
                          WSTOPPED | __WALL | WNOHANG | WNOWAIT, nullptr) == 0 &&
            info.si_pid)
            trace(PTRACE_CONT, tracees_[i].tid, 0, info.si_status >> 8 ? 0 : info.si_status & 0x7f);
    }
}

// It stops when it has made the twin, and when SIGCONT or SIGSTOP comes.
Result<void> OutsideTracer::await_agent() {
    const pid_t agent = tracees_[0].tid;
    std::uint64_t pause = 50'000; // ns
    constexpr std::uint64_t longest = 2'000'000;
    while (!room_.is_done(main_)) {
        siginfo_t info{};
        const long r = arch::syscall(SYS_waitid, P_PID, agent, &info,
                                     WEXITED | WSTOPPED | __WALL | WNOHANG | WNOWAIT, nullptr);
        if (r == 0 && info.si_pid == 0) {
            const std::uint64_t now = monotonic_ns();
            if (now > deadline_)
                return Error{EAGAIN, "process " + std::to_string(main_) +
                                         " has not answered for ten seconds: this host has too "
                                         "much to do; try again later"};
            let_others_answer();
            wait_for_change(now + pause);
            pause = std::min(2 * pause, longest);
            continue;
        }
        if (r < 0 || info.si_code != CLD_TRAPPED)
            return died(agent);
        const int event = info.si_status >> 8;
        unsigned long made = 0;
        if (event == PTRACE_EVENT_CLONE && trace(PTRACE_GETEVENTMSG, agent, 0, &made) >= 0)
            twin_ = pid_t(made);
        trace(PTRACE_CONT, agent, 0, event ? 0 : info.si_status & 0x7f);
    }
    if (twin_ && arch::syscall(SYS_wait4, twin_, nullptr, __WALL, nullptr) != twin_)
        return died(twin_);
    return {};
}

// To where it had been stopped. A thread that has gone back by itself has run in between.
Result<void> OutsideTracer::bring_back(std::size_t index) {
    Tracee& tracee = tracees_[index];
    tracee.stopped = false;
    if (index == 0)
        trace(PTRACE_SETOPTIONS, tracee.tid, 0, 0);
    interrupt(tracee.tid);
    arch::Registers now;
    if (Result<void> r = wait_until_stopped(tracee); !r)
        return r;
    tracee.querying = false;
    if (!tracee.stopped || get_registers(tracee.tid, now) < 0)
        return died(tracee.tid);
    if (now.rip < room_range_.start || now.rip >= room_range_.end)
        return Error{EAGAIN, "thread " + std::to_string(tracee.tid) +
                                 " did not wait to be put back to where it was: this host has too "
                                 "much to do; try again later"};
    if (set_registers(tracee.tid, room_.registers_back(index, tracee.registers)) < 0 ||
        set_mask(tracee.tid, tracee.mask) < 0 || set_registers(tracee.tid, tracee.registers) < 0)
        return died(tracee.tid);
    return {};
}

Result<void> OutsideTracer::take_answers() {
    const Result<agent::Order> order = room_.read_order(main_);
    const Result<std::vector<agent::ThreadOrder>> others = room_.read_others(main_);
    const Result<std::vector<agent::TimerTimes>> times = room_.read_timers(main_);
    if (!order || !others || !times)
        return !order ? order.error() : !others ? others.error() : times.error();
    answers_ = order->process;
    if (answers_.refused.call)
        return refused_by_surroundings(answers_.refused);
    if (order->advice_error)
        return system_error(int(-order->advice_error),
                            "memory of the process that it keeps from forks cannot be given to a "
                            "copy");
    if (order->twin < 0)
        return system_error(int(-order->twin), "cannot make a copy of the process",
                            "raise the limit on processes (ulimit -u), free memory, or allow more "
                            "of it to be promised");
    for (std::size_t i = 0; i < tracees_.size(); ++i) {
        const ask::ThreadQuery& query = i == 0 ? order->own.query : (*others)[i - 1].query;
        ask::take_answers(query, tracees_[i].thread.record);
        if (query.refused.call)
            return refused_by_surroundings(query.refused);
        tracees_[i].pending = query.pending;
        if (query.rights != order->own.query.rights)
            return Error{ENOTSUP, "the threads of process " + std::to_string(main_) +
                                      " have different rights (user, group, capabilities, "
                                      "no_new_privs), which an image cannot carry yet"};
    }
    for (std::size_t i = 0; i < timers_.size(); ++i) {
        auto ns = [](const agent::Timespec& time) {
            return std::uint64_t(time.seconds) * 1'000'000'000 + std::uint64_t(time.nanoseconds);
        };
        timers_[i].interval = ns((*times)[i].interval);
        timers_[i].remaining = ns((*times)[i].remaining);
    }
    return {};
}

// A signal without an entry in a queue is known by its bit alone; what all threads are told of and
// none has in its queue is the process's.
Result<void> OutsideTracer::read_pending(std::vector<PendingSignal>& to) {
    if (Result<void> r = read_pending_signals(tracees_[0].tid, Queue::process, 0, 0, to); !r)
        return r;
    std::uint64_t for_everybody = all_signals;
    for (const Tracee& tracee : tracees_)
        for_everybody &= tracee.pending;
    std::vector<PendingSignal> of_agent;
    const std::int32_t agent = tracees_[0].thread.record.tid;
    if (Result<void> r = read_pending_signals(tracees_[0].tid, Queue::thread, 0, agent, of_agent);
        !r)
        return r;
    add_without_entry(for_everybody & ~(pending_for(0, to) | pending_for(agent, of_agent)), 0, to);
    return read_queues_of_threads(to);
}

void OutsideTracer::release() {
    for (Tracee& tracee : tracees_)
        trace(PTRACE_DETACH, tracee.tid, 0, 0);
    tracees_.clear();
}

kinds::SignalAction OutsideTracer::action_of(int signal) {
    return answers_.signal_actions[signal - 1];
}

// What filters this process as well is where both run, as in a container.
std::string OutsideTracer::filters_to_have() const {
    return filters_in(text_of("/proc/self/status"));
}

std::string OutsideTracer::remedy(const char*) const {
    return {};
}

Result<void> OutsideTracer::stop_one() {
    deadline_ = monotonic_ns() + patience_ns;
    const Result<std::vector<Task>> tasks = list();
    if (!tasks)
        return tasks.error();
    for (const Task& task : *tasks) {
        Tracee tracee;
        tracee.tid = task.tid;
        if (seize_and_interrupt(task.tid) < 0)
            continue;
        if (Result<void> r = wait_until_stopped(tracee); !r || !tracee.stopped) {
            trace(PTRACE_DETACH, task.tid, 0, 0);
            continue;
        }
        tracees_.push_back(std::move(tracee));
        return read(tracees_.back());
    }
    return died(main_);
}

Result<void> OutsideTracer::reap_through(pid_t twin) {
    Foothold foothold(main_);
    if (Result<void> r = enter(foothold); !r)
        return r;
    const Result<long> waited =
        foothold.call(SYS_wait4, std::uint64_t(twin), 0, __WALL | WNOHANG, 0);
    if (!waited)
        return waited.error();
    return {};
}

// One of the threads comes to it, and does not get it. They run meanwhile.
Result<void> OutsideTracer::take_back_stop() {
    const std::uint64_t deadline = monotonic_ns() + patience_ns;
    for (const Tracee& tracee : tracees_)
        trace(PTRACE_CONT, tracee.tid, 0, 0);
    bool taken = false, late = false;
    while (!taken && !late) {
        for (const Tracee& tracee : tracees_) {
            siginfo_t info{};
            const long r = arch::syscall(SYS_waitid, P_PID, tracee.tid, &info,
                                         WEXITED | WSTOPPED | __WALL | WNOHANG | WNOWAIT, nullptr);
            if (r < 0 || info.si_pid == 0 || info.si_code != CLD_TRAPPED)
                continue;
            const bool of_signal = info.si_status >> 8 == 0;
            taken = taken || (of_signal && info.si_status == SIGSTOP);
            trace(PTRACE_CONT, tracee.tid, 0,
                  of_signal && info.si_status != SIGSTOP ? info.si_status : 0);
        }
        late = !taken && !wait_for_change(deadline);
    }
    for (Tracee& tracee : tracees_) {
        tracee.stopped = false;
        interrupt(tracee.tid);
        (void)bool(wait_until_stopped(tracee));
    }
    if (late)
        return Error{EAGAIN, "process " + std::to_string(main_) +
                                 " has been stopped, and does not come to it: continue it by hand "
                                 "(kill -CONT)"};
    return {};
}

Result<void> OutsideTracer::reap(pid_t twin) {
    if (!tracees_.empty())
        return reap_through(twin);
    Result<void> done = stop_one();
    if (done)
        done = reap_through(twin);
    release();
    return done;
}

} // namespace rfork::capture
