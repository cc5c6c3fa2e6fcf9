// Waiting for threads that are traced to stop.
//
// SIGCHLD must be blocked: it stays pending from when a tracee has changed.
#pragma once

#include <cstdint>
#include <sys/types.h>

namespace rfork::capture {

// For a change of any tracee; CLOCK_MONOTONIC, ns. False if it is past that.
bool wait_for_change(std::uint64_t deadline);

enum class Change { stopped, gone, nothing };

// One look at a tracee that has been interrupted. A signal that it was about to receive is given to
// it.
Change look(pid_t tid);

// Has it stop, unless it has: interrupted once more it would not get on when it is let go, but stop
// again.
void interrupt(pid_t tid);

// Seizes a thread and has it stop. What ptrace(2) answers.
long seize_and_interrupt(pid_t tid);

} // namespace rfork::capture
