// How the caller learns what became of its copy once it has stopped asking the target.
#pragma once

#include "remote/ticket.h"
#include "remote/user_directory.h"

#include <cstdint>
#include <string>

namespace rfork::remote {

struct Undecided {
    OpenDirectory& directory;  // the user's in the spool
    const std::string& ticket; // in it
    bool said_resumed;         // the target says that the copy runs
    std::int64_t asked_ms;     // when it was asked first, by boottime_ms()
};

// Gives the copy up, or finds that it runs: Outcome::given_up or runs; unclear only in a child that
// a signal handler has forked meanwhile. Waits as long as the spool does not answer, since nobody
// else can tell and a guess would lose the process or double it; says so on standard error after
// two seconds, and every minute.
//
// If neither the ticket nor what becomes of one is there any more, somebody has removed it by hand,
// since rfork leaves the one or the other for a day at least. If a stub was seen to have won, or
// the target says so, that counts as running, else as giving up; but not when the caller itself has
// slept for so long since it has asked: then it waits for a hand that makes one of the names.
Outcome decide_outcome(const Undecided& copy);

std::int64_t boottime_ms(); // CLOCK_BOOTTIME, which goes on while the machine sleeps

} // namespace rfork::remote
