// The programs that run here: what is still to be done about each.
//
//   its image     goes from the spool once its caller has renamed the ticket to ".ack.": the caller
//                 says so in a datagram, which may be lost, so it is looked for now and then, too
//   its end       is told to the log, to its monitor, and to a file beside its log
//   its log       goes if it is new, empty, and nothing was wrong, once the last process of the
//                 program's group has ended
//
// A program becomes our child when its runner has ended, or has ended itself by then; so ends may
// be seen before the program is known. Pure logic, but for the question whether a group lives.
#pragma once

#include "format/format.h"
#include "rexecd/program_log.h"
#include "rexecd/requests.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace rexecd {

struct Program {
    rfork::image::Id request{};
    pid_t process = 0; // leader of a session and group of its own; 0: only its image is known
    uid_t user = 0;
    std::string directory; // the user's in the spool
    std::string ticket;
    std::string acknowledged; // what the ticket is called when the image may go
    LogFile log;
    bool log_is_new = false;
    std::uint32_t monitor_address = 0; // network byte order, like the port; 0: none
    std::uint16_t monitor_port = 0;
    std::string monitor_name;

    std::optional<int> status; // as from waitpid(2), once it has ended
};

class Programs {
  public:
    // Beyond this, images stay until they are swept, empty logs for good, and ends are not told.
    static constexpr std::size_t limit = 64 * 1024, share = 4 * 1024; // of a user

    // The program whose end is known already, if it is.
    std::optional<Program> started(Program program, std::uint64_t steady);
    std::optional<Program> ended(pid_t process, int status, std::uint64_t steady);
    void acknowledged(const rfork::image::Id& request);

    // What can be tidied up now. An image that nobody has acknowledged is among it from time to
    // time, as long as its program is watched.
    struct Chores {
        std::vector<Program> images; // unlink them, if they are called acknowledged
        std::vector<Program> logs;   // unlink them, if they are empty
    };
    Chores take_chores(std::uint64_t steady);
    bool any_chores_later() const { return !watched_.empty(); }

  private:
    struct Watched {
        Program program;
        bool has_image = true, acknowledged = false;
        std::uint64_t looked = 0, pause = 1'000'000'000; // nanoseconds
    };
    std::vector<Watched> watched_;

    struct End {
        pid_t process;
        int status;
        std::uint64_t time; // numbers are used again
    };
    std::deque<End> early_ends_; // of children that are not known to be programs, or not yet
};

} // namespace rexecd
