// One request, from its image in the spool to a running program: the work of one forked child.
//
// The daemon itself never touches the spool, which may be a network file system whose server hangs.
// A runner may hang there; the daemon then has one runner less to give, and nothing else.
#pragma once

#include "image/format.h"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <type_traits>

namespace rexecd {

struct Job {
    std::string spool; // absolute
    rfork::image::Id image;
    std::string image_name; // a valid one
    bool allow_root = false;
    bool claims_only = false; // do not run it, only look whether it was
};

// What the runner reports: one write to a pipe, whole or not at all.
struct Outcome {
    bool resumed;
    bool has_log;        // "<image name>.out" is the program's, to be removed if it stays empty
    std::int32_t error;  // errno, unless resumed
    uid_t owner;         // of image, claim and log
    pid_t program;       // the copy on this host, leader of its session and group; 0 if elsewhere
    std::int64_t pid;    // of the copy, as the claim says; 0 if unknown
    char sentence[1000]; // zero-terminated
};
static_assert(std::is_trivially_copyable_v<Outcome> && sizeof(Outcome) <= 4096);

// Runs in the child. Reports exactly once, unless it is killed.
void run_job(const Job& job, int report);

} // namespace rexecd
