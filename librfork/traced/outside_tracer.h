// The tracer of a process that knows nothing of it.
//
// What only the process's threads can ask the kernel, an agent and its like ask in their name
// (agent/agent.h), in a room that is made for it and given back. The same agent makes the twin: a
// copy of the process that is ours to look at, while the process goes on.
#pragma once

#include "process/posix_timers.h"
#include "process/tracer.h"
#include "traced/leftovers.h"
#include "traced/room.h"

#include <optional>

namespace rfork::capture {

class OutsideTracer final : public Tracer {
  public:
    // `directory` is the process's in /proc, which must be that of our pid namespace.
    OutsideTracer(pid_t pid, std::string directory, std::vector<UnsafeCode> unsafe_code)
        : Tracer(std::move(directory), pid, 0, std::move(unsafe_code)) {}
    ~OutsideTracer() { release(); }

    // What the twin is to have although a fork would not give it; before stop().
    void give_twin(std::vector<agent::Advice> advice) { orders_.advice = std::move(advice); }

    // What is left of others, and is not to be in the twin either; before stop().
    void take_away(Leftovers leftovers);

    // After stop(). They have been asked at timers_asked of the answers.
    const ask::ProcessAnswers& answers() const { return answers_; }
    const std::vector<PosixTimer>& posix_timers() const { return timers_; }
    Result<void> read_pending(std::vector<PendingSignal>& to);
    // After read_pending(). What it knows of them reap() needs again.
    // The twin: stopped, traced by us. Its memory has a room in it still.
    pid_t twin() const { return twin_; }
    Range room() const { return room_range_; }
    // The thread that it is a copy of.
    const kinds::ThreadRecord& agent() const { return tracees_[0].thread.record; }

    void release() override;
    // The process waits for its child `twin`, which has ended. All of it stands still, after
    // stop(); or none of it, and one thread does for a moment.
    Result<void> reap(pid_t twin);
    // All of it stands still, and has been sent SIGSTOP since: it has not.
    Result<void> take_back_stop();

  private:
    Result<void> query() override;
    kinds::SignalAction action_of(int signal) override;
    std::string filters_to_have() const override;
    std::string remedy(const char* before_the_call) const override;

    Position position_of(const Tracee& tracee) const;
    Result<std::vector<MemoryMapEntry>> read_map() const;
    Result<void> enter(Foothold& foothold);
    Result<void> clean(Foothold& foothold);
    void drop_twin(Foothold& foothold);
    Result<void> list_timers();
    Result<void> send_to_room(const std::vector<Position>& positions);
    void let_others_answer();
    Result<void> await_agent();
    Result<void> bring_back(std::size_t index);
    Result<void> take_answers();
    Result<void> stop_one();
    Result<void> reap_through(pid_t twin);

    Leftovers leftovers_;
    Room room_;
    Room::Orders orders_;
    Range room_range_;
    ask::ProcessAnswers answers_{};
    std::vector<PosixTimer> timers_;
    pid_t twin_ = 0;
};

} // namespace rfork::capture
