// A time in which no thread of the process runs but the calling one.
//
// begin() starts a helper: a process that shares our memory, with an empty descriptor table of its
// own and a stack out of the session, and that nobody's wait(2) finds. It stops and reads the other
// threads (sibling_tracer.h), and holds them until end() or hold(). As long as it works, the calling thread
// does nothing but wait, so the two can share the thread pointer and the arena; while the calling
// thread works, the helper only waits.
#pragma once

#include "process/sibling_tracer.h"

#include <cstdint>
#include <sys/syscall.h>

namespace rfork::capture {

class Standstill {
  public:
    // `stack_top`: of a stack for the helper. `directory`: the process's in /proc.
    Standstill(std::uint64_t stack_top, std::string directory, std::vector<UnsafeCode> unsafe_code)
        : stack_top_(stack_top), caller_(pid_t(arch::syscall(SYS_gettid))),
          tracer_(std::move(directory), pid_t(arch::syscall(SYS_getpid)), caller_,
                  std::move(unsafe_code)) {}
    ~Standstill() {
        (void)bool(end());
        bring_back_all();
    }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

    // All signals must be blocked.
    Result<void> begin();
    // After begin(); see SiblingTracer::read_pending().
    Result<void> read_pending(std::uint64_t callers, std::vector<PendingSignal>& to);
    // Everybody goes on. Nothing if there is no standstill. An error if it had ended before.
    Result<void> end();
    // Instead of end(): the helper ends, and the others stay where they are, held by nobody but
    // themselves (SiblingTracer::park()), until this object ends. After an error they run.
    Result<void> hold();

    explicit operator bool() const { return helper_id_ != 0; }
    pid_t helper() const { return helper_id_; }

    const kinds::ThreadRecord* callers_rseq() const { return tracer_.callers_rseq(); }

    // What the others were doing; after read_pending().
    std::vector<Thread> threads;
    // For how long they stood still, in nanoseconds; after end().
    std::uint64_t duration() const { return duration_; }

  private:
    static void work(Standstill* here);
    void help();
    long start_helper();
    bool request(std::uint32_t what);
    Result<void> ask(std::uint32_t what);
    std::uint32_t next_request(std::uint32_t met);
    int await_helper();
    Error helper_died();
    void bring_back_all();

    std::uint64_t stack_top_;
    pid_t caller_;
    pid_t process_ = 0; // the caller's
    SiblingTracer tracer_;
    pid_t helper_id_ = 0;
    Result<void> outcome_;
    std::uint64_t began_ = 0, duration_ = 0;

    // Futexes. The helper counts in `helper_`, above its own id, how many requests it has met; the
    // kernel clears the word when the helper has ended.
    std::uint32_t helper_ = 0;
    std::uint32_t requested_ = 0;

    std::uint64_t callers_pending_ = 0;
    std::vector<PendingSignal>* pending_ = nullptr;
};

} // namespace rfork::capture
