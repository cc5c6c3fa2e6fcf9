// One request, from its ticket in the spool to a running program: the work of one forked child.
//
// The daemon itself never touches the spool, which may be a network file system whose server hangs,
// nor the user database. A runner may hang there; the daemon then has one runner less to give, and
// nothing else.
#pragma once

#include "format/format.h"
#include "remote/protocol.h"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <type_traits>

namespace rexecd {

struct Job {
    std::string spool;              // absolute
    uid_t user = 0;                 // one of the two that the request names
    rfork::remote::Message request; // with well-formed names of directory and ticket
    bool allow_root = false;
};

// What the runner reports: each with one write to a pipe, whole or not at all. First that it has
// proved the user to be who the request says, if it has; then how it ended.
struct Outcome {
    enum Kind : std::uint32_t {
        proved,  // a directory of the user's own holds an image of his that the request names
        missing, // no such name can be seen in the spool, or not yet
        refused,
        resumed,
    } kind;
    std::int32_t error;            // refused: errno
    pid_t program;                 // resumed: the copy on this host, its session's leader; else 0
    std::int64_t pid;              // resumed: of the copy, as its ticket says
    std::uint32_t monitor_address; // resumed: who wants to know of its end; network byte order
    std::uint16_t monitor_port;
    bool log_is_new;                           // resumed: nobody's before; empty, it may go
    char monitor_name[64];                     // resumed: what the program is called there
    char running[256];                         // resumed: what the ticket is called now
    char log[rfork::remote::max_log_name + 1]; // resumed: its path
    std::uint64_t log_device, log_inode;       // resumed: and what was there under it
    char sentence[1000];                       // refused; zero-terminated like the others
};
static_assert(std::is_trivially_copyable_v<Outcome> && sizeof(Outcome) <= 4096);

// Runs in the child. Reports how it ended exactly once, unless it is killed.
void run_job(const Job& job, int report);

} // namespace rexecd
