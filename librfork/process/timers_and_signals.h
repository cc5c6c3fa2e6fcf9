// Timers are asked first, then the pending signals are read; in between a timer may have run out.
#pragma once

#include "ask/process_query.h"
#include "process/pending_signals.h"
#include "process/posix_timers.h"

#include <cstdint>
#include <vector>

namespace rfork::capture {

// Makes the timers, asked at answers.timers_asked, what they were when the signals were `read`
// (CLOCK_MONOTONIC, ns; 0: they were not).
void advance_timers(std::uint64_t read, const std::vector<PendingSignal>& pending,
                    ask::ProcessAnswers& answers, std::vector<PosixTimer>& timers);

} // namespace rfork::capture
