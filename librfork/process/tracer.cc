// Seizing, stopping and letting go.
//
// A seized thread is interrupted and waited for, without a signal. What it was about to receive is
// given to it first. What is done to a thread between its stop and its release is elsewhere:
// - which threads there are: tracer_tasks.cc
// - what a stopped thread tells without moving: tracer_read.cc
// - out of code in which it may not be frozen: tracer_unsafe_code.cc
// - what is pending, and what that means for its system call: tracer_pending.cc
// - what it is made to ask for, and back to where it was: sibling_tracer.cc, and
//   traced/outside_tracer.cc
#include "process/tracer.h"

#include "base/clock.h"
#include "process/ptrace.h"
#include "process/stops.h"

#include <algorithm>
#include <cerrno>

namespace rfork::capture {
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
            if (tracees_.size() + (caller_ ? 1 : 0) + ended == count_threads())
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
        const long r = seize_and_interrupt(task.tid);
        if (r == -ESRCH || (r == -EPERM && has_ended(task))) {
            ++ended;
            continue;
        }
        if (r < 0)
            return cannot_stop(task.tid, int(-r));
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
            take_back_eintr(tracee.tid);
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

std::vector<Thread> Tracer::threads() const {
    std::vector<Thread> all;
    all.reserve(tracees_.size());
    for (const Tracee& tracee : tracees_)
        all.push_back(tracee.thread);
    return all;
}

} // namespace rfork::capture
