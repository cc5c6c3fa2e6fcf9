// A step that must not happen among the caller's descriptors: closing any descriptor of a file
// drops all locks that its process has on it (fcntl(2)), and the caller may have locked the very
// file that this library wants to read.
#pragma once

#include "api/session.h"
#include "base/result.h"

namespace rfork::api {

// Runs work(context) in a process that shares the caller's memory, but has descriptors of its own,
// and waits for it; the work is not done if somebody kills that process. The calling thread does
// nothing meanwhile, and no signal handler of the program runs in either.
Result<void> run_aside(const Session& session, void (*work)(void*), void* context);

template <class Work>
Result<void> aside(const Session& session, Work work) {
    return run_aside(
        session, [](void* context) { (*static_cast<Work*>(context))(); }, &work);
}

} // namespace rfork::api
