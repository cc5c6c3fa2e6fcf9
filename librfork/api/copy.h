// A copy of the caller, which becomes the image: what it does, and what its end tells the caller.
#pragma once

#include "api/freeze.h"
#include "api/mailbox.h"
#include "process/self.h"

namespace rfork::api {

// What the caller hands over to its copy.
struct Handover {
    const FreezeOrder& order;
    const Session& session;
    const capture::OwnFacts& facts;
    const SharedMailbox& mailbox;
    pid_t helper;        // that makes the others stand still, or 0
    std::uint64_t pages; // that the copy must have
};

// The whole life of the copy. Says in the mailbox what has come of it.
[[noreturn]] void live_as_copy(const Handover&);

// In the caller. Returns the copy's wait status.
int wait_for_copy(pid_t copy);

// Why there is no image, if the copy has ended without a word.
Error copy_died(int status, const FreezeOrder& order);

} // namespace rfork::api
