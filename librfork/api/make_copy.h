// The copy is made while the caller's other threads stand still (capture/standstill.h): from before
// the calling thread asks the kernel what it has to, until the copy has read what they could
// change. While it writes, they run; or not, if the order says so (api/halt.h).
#pragma once

#include "api/freeze.h"
#include "api/halt.h"
#include "api/mailbox.h"

namespace rfork::api {

// What of its memory a copy is given; see capture/kept_from_forks.h.
enum class Memory { as_a_child, all };

// From when until all threads may go on.
struct Copied {
    pid_t copy = 0;
    std::uint64_t stall_ns = 0;
    std::uint64_t fork_ns = 0;
};

Result<Copied> make_copy(const Session& session, const FreezeOrder& order,
                         const SharedMailbox& mailbox, Memory memory, Halt& halt);

} // namespace rfork::api
