// A forked child of the daemon that does one thing and ends.
//
// It starts with default signal dispositions, none blocked (the daemon's handlers write into a pipe
// that the child shares), and with no descriptors but the standard streams and one to report on.
// Nothing that the daemon registered with atexit() or that lives in its event loop is run by it.
#pragma once

#include <sys/types.h>
#include <vector>

namespace rexecd {

// The pid, or -1 with errno. `body(context, report)` runs in the child, where `report` has a new
// number; without one, pass -1. It ends with status 0 when the body returns.
pid_t fork_child(int report, void (*body)(void* context, int report), void* context);

// The same for any callable `body(int report)`; it is called in the child's copy of our memory, so
// references are fine.
template <class Body>
pid_t fork_child(int report, Body body) {
    return fork_child(
        report, [](void* context, int fd) { (*static_cast<Body*>(context))(fd); }, &body);
}

// Waits for all of them, at most so long together; then kills those that are left.
void end_all(const std::vector<pid_t>& children, int patience_ms);

// Waits for it; the status as from waitpid(2), -1 on an error.
int wait_for(pid_t child);

} // namespace rexecd
