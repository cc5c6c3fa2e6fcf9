// The tracer of a process that shares its memory: a thread that froze its program has made it, to stop
// the others.
//
// The kernel lets no thread trace its siblings, so it is another process. Queries and stacks for
// them lie in the memory that both have, and a query is a function of this library.
#pragma once

#include "process/tracer.h"

namespace rfork::capture {

class SiblingTracer final : public Tracer {
  public:
    SiblingTracer(std::string directory, pid_t main, pid_t caller,
                  std::vector<UnsafeCode> unsafe_code)
        : Tracer(std::move(directory), main, caller, std::move(unsafe_code)) {}

    void release() override;
    // What is pending for the process and for each thread, the caller included, which is stopped
    // for a moment; and thus how the threads go on in a copy. `callers`: what is pending according
    // to the caller, rt_sigpending(2).
    Result<void> read_pending(std::uint64_t callers, std::vector<PendingSignal>& to);
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

  private:
    Result<void> query() override;
    kinds::SignalAction action_of(int signal) override;
    std::string filters_to_have() const override;
    std::string remedy(const char* before_the_call) const override;

    arch::Registers call_of_query(std::size_t index);
    bool bring_back(Tracee& tracee);
    bool rescue(const Tracee& tracee);

    kinds::ThreadRecord callers_rseq_{}; // nothing else of it
    bool knows_callers_rseq_ = false;
    std::vector<ask::ThreadQuery> queries_; // one a tracee
    std::vector<std::uint8_t> stacks_;      // of the thread queries
    bool parked_ = false;
};

} // namespace rfork::capture
