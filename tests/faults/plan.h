// What goes wrong in one trial, as text and as data.
//
//   timeout 300; stub rename 1 error-late EIO 3000; daemon send * drop
//   move; stub tell 1 orphan
//
// A fault is: whose call, which, the how many-th of that kind in the trial (* is each of them),
// what happens to it, and for that an error, milliseconds, or a limit.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

namespace faults {

enum class Role {
    caller, // the program that calls rfork()
    writer, // its copy, which writes the image, and its other helpers
    daemon, // the process of rexecd that talks to the network
    runner, // those it forks
    stub,   // the image, until the program in it goes on
    other,
};

// Calls on names and files of the spool, but for the last three.
enum class Call {
    rename,
    create, // openat with O_CREAT
    open,
    unlink,
    link,
    mkdir,
    write,
    read,
    sync,
    list,
    stat,
    tell, // write to a pipe: status and outcome
    send, // a datagram
    exec,
    other,
};

enum class Action {
    kill,        // the process, before the call
    kill_after,  // it has taken effect
    kill_late,   // killed now, and the effect comes later: a request that was on its way
    error,       // and no effect
    error_after, // an error, although it has taken effect
    error_late,  // an error now, and the effect comes later
    late,        // effect and answer come later
    late_answer, // the effect at once, the answer later
    stop,        // SIGSTOP behind the call, SIGCONT later
    outage,      // from here on all calls of that host on the spool fail, for some time
    hang,        // from here on none of them is answered, for some time
    drop,        // a datagram is sent, and lost
    lose_ticket, // somebody unlinks the image
    lose_directory,
    full,      // nothing more can be written to the spool, for some time
    read_only, // likewise
    limit,     // the process gets a resource limit
    orphan,    // all processes that the library has made beside the caller are killed
};

struct Fault {
    Role role = Role::other;
    Call call = Call::other;
    int first = 1, last = 1; // 0: of all that come
    Action action = Action::kill;
    int error = 0;
    int ms = 0;
    int resource = 0;
    long value = 0;
};

struct Plan {
    bool move = false;     // rfork_move() of a program with threads, instead of rfork()
    int timeout_ms = 2000; // RFORK_TIMEOUT_MS of the caller
    std::vector<Fault> faults;
};

std::string text_of(const Plan& plan);
std::optional<Plan> parse(const std::string& text);
Plan random_plan(std::mt19937_64& random);

const char* name_of(Role role);
const char* name_of(Call call);

} // namespace faults
