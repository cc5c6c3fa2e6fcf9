// How the caller learns what became of its copy once it has stopped asking the target.
#pragma once

#include "remote/ticket.h"

#include <string>

namespace rfork::remote {

struct Unsettled {
    int directory;             // the user's in the spool
    const std::string& ticket; // in it
    bool said_resumed;         // the target says that the copy runs
};

// Gives the copy up, or finds that it runs: Outcome::given_up or runs, nothing else. Waits as long
// as the spool does not answer, since nobody else can tell and a guess would lose the process or
// double it; says so on standard error after two seconds, and every minute.
//
// If neither the ticket nor what becomes of one is there any more, somebody has removed it by hand,
// since rfork leaves the one or the other for a day at least. That counts as giving up, unless the
// target has said that the copy runs, or the caller itself has slept for so long: then it waits for
// a hand that makes one of the names.
Outcome settle(const Unsettled& errand);

} // namespace rfork::remote
