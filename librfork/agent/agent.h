// What a process that is frozen from outside is made to do in its own name: code that is put into a
// room in its memory (traced/room.h), and the orders it finds there.
//
// One thread, the agent, asks what only the process can ask, waits for the other threads' answers,
// and makes the twin. All of them then wait to be put back to where they were; if nobody does it,
// because the tracer has been killed, each goes back by itself, through a signal frame that lies
// ready. So nothing is done to a process from which it would not come back.
//
// The code calls nothing outside of itself, has no data, and uses general registers only.
#pragma once

#include "ask/process_query.h"
#include "ask/thread_query.h"

#include <cstddef>
#include <cstdint>

namespace rfork::agent {

struct Timespec {
    std::int64_t seconds, nanoseconds;
};

struct ThreadOrder {
    std::uint64_t frame; // arch::SignalFrame: where it goes back to
    Timespec patience;   // after which it does
    ask::ThreadQuery query;
};

struct TimerTimes {
    std::int32_t id;
    std::uint32_t pad;
    Timespec interval, remaining;
};

// What the twin is to be given although a fork would not, and how that is put back.
struct Advice {
    std::uint64_t start, size;
    std::int32_t before, after; // MADV_*
};

struct Order {
    ThreadOrder own;         // the agent's
    std::uint64_t room_size; // of all that has been mapped for it
    std::uint32_t done;
    std::uint32_t other_count, timer_count, advice_count;
    ThreadOrder* others;
    TimerTimes* timers;
    const Advice* advice;
    std::int64_t twin; // its pid, as the process calls it, or -errno
    std::int64_t advice_error;
    ask::ProcessAnswers process;
};

// What a twin calls itself as soon as nobody holds it.
inline constexpr char twin_name[] = "rfork-twin";

// Entries, from the beginning of the code; each with an order in the first argument register, and
// in the second the top of the stack to change to.
inline constexpr std::uint64_t agent_entry = 0;
inline constexpr std::uint64_t thread_entry = 16;
// With an order in rbx.
inline constexpr std::uint64_t way_back = 32;

inline constexpr std::uint64_t agent_stack_size = 4096;

} // namespace rfork::agent
