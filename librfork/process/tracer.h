// All threads of a process, stopped and read through ptrace(2).
//
// Stopping must not show. A thread that is stopped in a blocking system call has to be blocked
// there again afterwards and to see no EINTR, and a signal that is on its way to it has to arrive.
// So threads are seized and interrupted, never signalled, and what a stop does to system calls is
// undone (arch/<machine>/tracee.h).
//
// What only a thread can ask, it asks for itself when made to (ask/thread_query.h). How it is made
// to, and how it comes back to where it was, depends on who the tracer is: a process that shares the
// memory of the one that it traces (sibling_tracer.h), or a stranger (traced/outside_tracer.h).
#pragma once

#include "ask/thread_query.h"
#include "base/result.h"
#include "format/records/signal_actions.h"
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
    // Of a freezer that was killed: it ends in a wait to be fetched, and nobody comes.
    bool is_left = false;
    bool contains(std::uint64_t address) const { return address >= start && address < end; }
};

// What filters system calls, by the text of a thread's status: mode and number of filters.
std::string filters_in(const std::string& status);

// Of those that wait for the thread `tid`, or, if it is 0, for the process: a bit each.
std::uint64_t pending_for(std::int32_t tid, const std::vector<PendingSignal>& signals);

class Tracer {
  public:
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    // Returns when every thread but the caller stands still and has been read. After an error all
    // of them run again.
    Result<void> stop();
    // Lets them go on where they were.
    virtual void release() = 0;

    // Without the caller; after their pending signals have been read.
    std::vector<Thread> threads() const;

  protected:
    // `directory` is the process's in /proc, `main` its pid. `caller`, one of its threads, stands
    // still by itself; 0: there is none such.
    Tracer(std::string directory, pid_t main, pid_t caller, std::vector<UnsafeCode> unsafe_code)
        : directory_(std::move(directory)), caller_(caller), main_(main),
          unsafe_code_(std::move(unsafe_code)) {}
    ~Tracer() = default;

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

    // What differs between the two.
    virtual Result<void> query() = 0;                      // all, while they stand still
    virtual kinds::SignalAction action_of(int signal) = 0; // of the process that is traced
    virtual std::string filters_to_have() const = 0; // a thread that has others is not touched
    virtual std::string remedy(const char* before_the_call) const = 0;

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
    std::string filters_of(pid_t tid, const std::vector<Task>& tasks) const;
    Result<void> check_filters(const std::vector<Task>& tasks) const;

    // tracer_read.cc
    static void take_back_eintr(pid_t tid);
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
    static void end_wait(const Tracee& tracee);
    Result<void> run_on(Tracee& tracee, unsigned tries);

    // tracer_pending.cc
    Result<void> read_queues_of_threads(std::vector<PendingSignal>& to);
    bool will_be_handled(std::uint64_t signals, bool& restarts);
    void resolve_interrupted_call(kinds::ThreadRecord& record, std::uint64_t signals);

    std::string directory_;
    pid_t caller_;
    pid_t main_;
    std::vector<UnsafeCode> unsafe_code_;
    std::vector<Tracee> tracees_;
    std::uint64_t deadline_ = 0;
    bool touched_ = false; // some thread's registers or mask are not its own, or may not be
};

} // namespace rfork::capture
