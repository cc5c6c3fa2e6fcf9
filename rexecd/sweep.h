// Cleaning the spool, in forked children of the daemon: the spool may hang.
//
// What rfork() and rexecd put there, its users remove in the ordinary course; after a crash it
// stays. Of entries that bear exactly rfork's names (remote/spool.h), and that nobody has touched
// for a day, these go:
//
//   a temporary file          its writer has died
//   an image without claim    nobody asked for it, or nobody could run it
//   an image given up         its caller has died before he could unlink it
//   an image claimed here     its copy runs here or has; a runner died before it could unlink it
//   a claim without image     its caller has died
//
// An image that another host has claimed stays: over NFS its pages may still be wanted there. Logs
// stay as well, as what they hold belongs to their user; but a log in which nothing was written
// when its program ended goes at once (see logs.h).
//
// Every entry is removed with the rights of its owner, in a child per owner.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace rexecd {

struct EndedLog {
    uid_t owner;
    std::string image_name;
};

void sweep_spool(const std::string& path, long stale_seconds);
void remove_empty_logs(const std::string& path, const std::vector<EndedLog>& logs);

} // namespace rexecd
