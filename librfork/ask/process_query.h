// What only a process itself can ask the kernel about itself: one structure of answers, and the
// questions. A process that freezes itself asks them at once; a tracer makes a stopped process ask
// them, as it does with ask/thread_query.h. So the code that asks is complete in itself: it calls
// nothing, and has no data but what it is given (tests/unit/complete.sh holds it to that).
#pragma once

#include "ask/refused.h"
#include "format/records/interval_timers.h"
#include "format/records/signal_actions.h"

#include <cstdint>

namespace rfork::ask {

struct ProcessAnswers {
    kinds::SignalAction signal_actions[kinds::signal_count]; // [0] is signal 1
    kinds::IntervalTimer interval_timers[kinds::interval_timer_count];
    std::uint64_t timers_asked; // CLOCK_MONOTONIC, ns
    std::uint64_t persona;
    std::uint64_t brk;
    std::uint64_t membarriers; // a bit for each MEMBARRIER_CMD_REGISTER_*
    std::uint32_t no_new_privileges;
    std::uint32_t child_subreaper;
    std::uint32_t thp_disable;
    std::uint32_t dumpable;
    std::uint32_t memory_merge;
    std::uint32_t keep_capabilities;
    std::uint32_t deny_write_execute; // PR_GET_MDWE
    std::uint32_t has_children;       // of those that end with SIGCHLD
    Refused refused;
};

// All but the timers.
extern "C" void rfork_ask_process(ProcessAnswers*);
// Late, since time goes on.
extern "C" void rfork_ask_timers(ProcessAnswers*);

} // namespace rfork::ask
