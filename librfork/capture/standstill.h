// A time in which no thread of the process runs but the calling one.
//
// begin() starts a helper: a process that shares our memory, with an empty descriptor table of its
// own and a stack out of the session, and that nobody's wait(2) finds. It stops and reads the other
// threads (tracer.h), and holds them until end(). As long as it works, the calling thread does
// nothing but wait, so the two can share the thread pointer and the arena; while the calling thread
// works, the helper only waits.
#pragma once

#include "capture/tracer.h"

#include <cstdint>

namespace rfork::capture {

class Standstill {
  public:
    // `stack_top`: of a stack for the helper. `directory`: the process's in /proc.
    Standstill(std::uint64_t stack_top, std::string directory, std::vector<NoStandingZone> zones)
        : stack_top_(stack_top), directory_(std::move(directory)), zones_(std::move(zones)) {}
    ~Standstill() { end(); }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

    // All signals must be blocked.
    Result<void> begin();
    // After begin(); see Tracer::read_pending().
    Result<void> read_pending(std::uint64_t callers, std::vector<PendingSignal>& to);
    // Everybody goes on. Nothing if there is no standstill.
    void end();

    explicit operator bool() const { return helper_id_ != 0; }

    // What the others were doing; after read_pending().
    std::vector<Thread> threads;
    // For how long they stood still, in nanoseconds; after end().
    std::uint64_t duration() const { return duration_; }

  private:
    static void work(Standstill* here);
    void help();
    Result<void> ask(std::uint32_t what);
    std::uint32_t next_request(std::uint32_t met);
    void await_helper();

    std::uint64_t stack_top_;
    std::string directory_;
    std::vector<NoStandingZone> zones_;
    pid_t caller_ = 0;
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
