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

// Called by the tracer of the thread `stopped`, which it has stopped. Appends what waits in the
// thread's own queue, or in the one it shares with its process, in order, as `tid_in_record`.
Result<void> read_pending_signals(pid_t stopped, Queue queue, std::int32_t tid_in_record,
                                  std::vector<PendingSignal>& to);

// The same for a tracer that has the thread's SigPnd, or the process's ShdPnd, of
// /proc/PID/status already.
Result<void> read_pending_signals(pid_t stopped, Queue queue, std::uint64_t pending_set,
                                  std::int32_t tid_in_record, std::vector<PendingSignal>& to);

} // namespace rfork::capture
