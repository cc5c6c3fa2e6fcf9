// Cleaning the spool, in forked children of the daemon: the spool may hang.
//
// What rfork() and rexecd put there, they remove in the ordinary course; after a crash it stays. Of
// entries in users' directories that bear exactly rfork's names (remote/spool.h), these go:
//
//   .rfork.<id>.tmp   old: its writer has died
//   rfork.<id>        old: renamed to .back, so that no copy can run any more
//   .back             old, and given up for as long: its caller has died
//   .run., .ack.      old, and of a stub on this host: its caller has died, or rexecd before it
//                     could unlink it
//
// "Old" is --stale-age, but what tells how a ticket was decided stays for a day at least: a caller
// that has slept so long may still ask. An image that another host has won stays: over NFS its
// pages may still be wanted there. Logs and status files belong to their users.
//
// Every entry is removed with the rights of its owner, in a child per owner.
#pragma once

#include "rexecd/programs.h"

#include <string>
#include <vector>

namespace rexecd {


void sweep_spool(const std::string& path, long stale_seconds, bool allow_root);

struct Chores {
    Programs::Chores left;     // by programs
    std::vector<Program> ends; // to be written to status files
    bool empty() const { return left.images.empty() && left.logs.empty() && ends.empty(); }
};
void clean_up(const std::string& path, const Chores& chores, bool allow_root);

} // namespace rexecd
