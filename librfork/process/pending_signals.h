// Signals that wait in the queues of a process. A copy made by clone(2) has none of them.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <sys/types.h>
#include <vector>

namespace rfork::capture {

struct PendingSignal {
    std::int32_t tid; // 0: for the process; else for this thread
    std::array<std::uint8_t, 128> info;
};

enum class Queue { thread, process };

int number_of(const PendingSignal& signal);

// Called by the tracer of the thread `stopped`, which it has stopped. Appends what waits in the
// thread's own queue, or in the one it shares with its process, in order, as `tid_in_record`; then
// those of `pending_set` that have no entry there.
Result<void> read_pending_signals(pid_t stopped, Queue queue, std::uint64_t pending_set,
                                  std::int32_t tid_in_record, std::vector<PendingSignal>& to);

// Signals that came when the user's queues were full (RLIMIT_SIGPENDING).
void add_without_entry(std::uint64_t pending_set, std::int32_t tid_in_record,
                       std::vector<PendingSignal>& to);

} // namespace rfork::capture
