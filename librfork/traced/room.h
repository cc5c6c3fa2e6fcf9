// Memory in the process for the agent's code (agent/agent.h), the orders, and for each thread a
// stack and a way back. Made and given back through a foothold.
#pragma once

#include "agent/agent.h"
#include "snapshot/snapshot.h"
#include "traced/foothold.h"

#include <span>

namespace rfork::capture {

class Room {
  public:
    // What the agent is to do besides asking.
    struct Orders {
        std::vector<std::int32_t> timers; // ids
        std::vector<agent::Advice> advice;
    };

    // The agent is the first of the threads.
    Result<void> make(pid_t pid, Foothold& foothold, std::span<const Position> threads,
                      const Orders& orders);
    Result<void> give_back(Foothold& foothold);

    // With which a thread begins to carry out its order.
    arch::Registers registers_for(std::size_t thread, const Position& position) const;
    // With which it leaves, whatever its signal mask is.
    arch::Registers registers_back(std::size_t thread, const arch::Registers& here) const;

    // As the process has it now.
    bool is_done(pid_t pid) const;
    Result<agent::Order> read_order(pid_t pid) const;
    Result<std::vector<agent::ThreadOrder>> read_others(pid_t pid) const;
    Result<std::vector<agent::TimerTimes>> read_timers(pid_t pid) const;

    // The room of a freezer that was killed, if `e` begins with one; otherwise nothing.
    static Range left_in(pid_t pid, const MemoryMapEntry& e);

    Range range() const { return {start_, start_ + size_}; }

  private:
    std::uint64_t order_of(std::size_t thread) const;
    std::uint64_t start_ = 0, size_ = 0;
    std::uint64_t order_ = 0, others_ = 0, timers_ = 0, stacks_ = 0; // addresses
    std::size_t other_count_ = 0, timer_count_ = 0;
};

} // namespace rfork::capture
