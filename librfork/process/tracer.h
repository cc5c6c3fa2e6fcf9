// All threads of a process, stopped and read through ptrace(2).
//
// Stopping must not show. A thread that is stopped in a blocking system call has to be blocked
// there again afterwards and to see no EINTR, and a signal that is on its way to it has to arrive.
// So threads are seized and interrupted, never signalled, and what a stop does to system calls is
// undone (arch/<machine>/tracee.h).
//
// The tracer must be another process than the one it traces: the kernel lets no thread trace its
// siblings. It may share memory with it, and here it does: what only a thread can ask, it asks for
// itself when made to (thread_query.h).
#pragma once

#include "ask/thread_query.h"
#include "base/result.h"
#include "process/pending_signals.h"
#include "snapshot/snapshot.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace rfork::capture {

// A range of code in which no thread may be frozen.
struct UnsafeCode {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    // How a thread is brought out of it: instruction by instruction, or by letting it run on.
    bool by_steps = false;
    bool contains(std::uint64_t address) const { return address >= start && address < end; }
};

class Tracer {
  public:
    // `directory` is the process's in /proc, `main` its pid. `caller`, one of its threads, stands
    // still by itself.
    Tracer(std::string directory, pid_t main, pid_t caller, std::vector<UnsafeCode> unsafe_code)
        : directory_(std::move(directory)), caller_(caller), main_(main),
          unsafe_code_(std::move(unsafe_code)) {}
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    // Returns when every thread but the caller stands still and has been read. After an error all
    // of them run again.
    Result<void> stop();
    // What is pending for the process and for each thread, the caller included, which is stopped
    // for a moment; and thus how the threads go on in a copy. `callers`: what is pending according
    // to the caller, rt_sigpending(2).
    Result<void> read_pending(std::uint64_t callers, std::vector<PendingSignal>& to);
    // Lets them go on where they were.
    void release();
    // Instead of release(): they wait in code of ours, all signals blocked, and nobody traces them,
    // so whoever is killed, none of them runs on. After an error they are where they were.
    Result<void> park();

    // In another process that shares our memory, after park(), or after the death of the one that
    // called stop(): threads that are in code of ours, or have signals blocked, are brought back.
    void rescue();
    bool has_strayed() const { return touched_; }

    // Where the caller's restartable sequences are; after read_pending(). Nothing from a kernel
    // that does not tell (before 5.13).
    const kinds::ThreadRecord* callers_rseq() const {
        return knows_callers_rseq_ ? &callers_rseq_ : nullptr;
    }

    // Without the caller; after read_pending().
    std::vector<Thread> take_threads();

  private:
    struct Tracee {
        pid_t tid = 0;
        bool stopped = false;
        bool querying = false; // so its registers are not its own
        bool stepped = false;  // so its mask is not
        bool rescued = false;
        std::uint64_t mask = 0;
        arch::Registers registers{}; // with which it goes on here
        Thread thread;               // as a copy goes on
        std::uint64_t pending = 0;   // for the thread or the process, by its own account
    };

    struct Task { // as /proc calls it, and as we do
        std::string name;
        pid_t tid = 0;
    };

    // tracer.cc
    Result<void> stop_all();
    bool is_known(pid_t tid) const;
    Result<bool> seize_new(const std::vector<Task>& tasks, std::size_t& ended);
    Result<void> wait_until_stopped(Tracee& tracee);

    // tracer_tasks.cc
    std::string status_of(const std::string& name) const;
    pid_t tid_of(const std::string& name) const;
    Result<std::vector<Task>> list() const;
    bool has_ended(const Task& task) const;
    std::size_t count_threads() const;
    bool is_main_and_ended(pid_t tid) const;
    Result<void> check_filters(const std::vector<Task>& tasks) const;

    // tracer_read.cc
    Result<void> read_position(Tracee& tracee);
    Result<void> check_sharing(const Tracee& tracee) const;
    static bool read_rseq(pid_t tid, kinds::ThreadRecord& record);
    Result<void> check_dispatch(pid_t tid) const;
    Result<void> read(Tracee& tracee);
    Result<void> remember(Tracee& tracee);

    // tracer_unsafe_code.cc
    const UnsafeCode* unsafe_code_at(std::uint64_t address) const;
    Result<void> leave_zones(Tracee& tracee);
    Result<void> step(Tracee& tracee);
    Result<void> run_on(Tracee& tracee);

    // tracer_query.cc
    arch::Registers call_of_query(std::size_t index);
    Result<void> query();
    bool bring_back(Tracee& tracee);
    bool rescue(const Tracee& tracee);

    std::string directory_;
    pid_t caller_;
    pid_t main_;
    std::vector<UnsafeCode> unsafe_code_;
    std::vector<Tracee> tracees_;
    kinds::ThreadRecord callers_rseq_{}; // nothing else of it
    bool knows_callers_rseq_ = false;
    std::uint64_t deadline_ = 0;
    std::vector<ask::ThreadQuery> queries_; // one a tracee
    std::vector<std::uint8_t> stacks_;      // of the thread queries
    bool touched_ = false; // some thread's registers or mask are not its own, or may not be
    bool parked_ = false;
};

} // namespace rfork::capture
