// Freezes a process given by its pid, from outside.
//
//   admit     may it be frozen at all?
//   stop      all its threads stand still; an agent has asked what only they can ask, and has made
//             a twin
//   collect   what it is and has, as collectors see it through a TracedProcess
//   release   it goes on, unless it is to stand still until the image is written
//   write     the twin's memory, by whoever writes the snapshot
//   finish    the twin ends, and the process waits for it; nothing is left behind
//
// Whatever fails, and whoever is killed, the process goes on.
#pragma once

#include "traced/outside_tracer.h"
#include "traced/traced_process.h"
#include "traced/twin_pages.h"

#include <memory>
#include <optional>

namespace rfork::capture {

struct FreezeOrder {
    bool goes_on = true; // while the image is written
    bool leaves_children = false;
};

class FrozenProcess {
  public:
    // SIGCHLD must be blocked. What is in `snapshot` already (id, what may be dropped) stays.
    static Result<std::unique_ptr<FrozenProcess>> freeze(pid_t pid, const FreezeOrder& order,
                                                         Snapshot& snapshot);
    ~FrozenProcess() { (void)bool(finish()); }
    FrozenProcess(const FrozenProcess&) = delete;
    FrozenProcess& operator=(const FrozenProcess&) = delete;

    // It is let go; or sent a signal first, by which it has then ended, or is stopped.
    Result<void> finish();
    Result<void> finish_with(int signal);
    // While it stands still: from now on it is stopped (SIGSTOP) if this process is killed. finish()
    // takes that back.
    Result<void> halt();

    pid_t pid() const { return pid_; } // not always the one that was asked for (traced/admission.h)

    std::uint64_t stood_still() const { return stood_still_; } // ns; after finish() if it did so

  private:
    FrozenProcess(pid_t pid, std::string directory) : pid_(pid), directory_(std::move(directory)) {}
    Result<void> stop();
    Result<void> collect(const FreezeOrder& order, Snapshot& snapshot);
    Result<void> keep_shared_memory(const TracedProcess& source, ProcessSnapshot& process);
    Result<void> collect_memory(const TracedProcess& source, ProcessSnapshot& process);
    Result<void> end_twin();
    void release();

    const pid_t pid_;
    const std::string directory_;
    std::vector<Range> doors_; // left from earlier resumes
    TracedFacts facts_;
    std::optional<OutsideTracer> tracer_;
    Twin twin_;
    std::unique_ptr<TwinPages> pages_;
    std::uint64_t stopped_ = 0, stood_still_ = 0;
    bool was_stopped_ = false; // by somebody else
    bool halted_ = false;
    pid_t zombie_ = 0; // the twin's pid, as the process calls it, until it has waited for it
};

} // namespace rfork::capture
