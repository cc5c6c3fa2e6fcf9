// One freeze, stage by stage. freeze() takes them one after the other; whoever freezes several
// processes as one takes each stage for all of them before the next.
//
//   stop      the other threads stand still (process/standstill.h), where a thread can be frozen
//   read      what only this process can ask the kernel about itself
//   copy      there is a copy of the process, with its memory as it is now
//   release   the copy has read what the threads could change: they run on, or halt (api/halt.h)
//   write     the image is complete
//
// A stage that fails ends the freeze, and everybody goes on.
#pragma once

#include "api/blocked_signals.h"
#include "api/freeze.h"
#include "api/halt.h"
#include "api/mailbox.h"
#include "process/kept_from_forks.h"
#include "process/self.h"
#include "process/standstill.h"

#include <memory>
#include <optional>
#include <string>
#include <unistd.h>

namespace rfork::api {

// What of its memory a copy is given; see process/kept_from_forks.h.
enum class Memory { as_a_child, all };

class Freeze {
  public:
    Freeze(const Session& session, const FreezeOrder& order, Memory memory, Halt& halt)
        : session_(session), order_(order), memory_(memory), halt_(halt) {}
    Freeze(const Freeze&) = delete;
    Freeze& operator=(const Freeze&) = delete;

    Result<void> stop();
    Result<void> read();
    Result<void> copy();
    Result<void> release();
    // Nothing, if the copy lacks memory: it takes another freeze, with all of it.
    Result<std::optional<Frozen>> write();

  private:
    Result<bool> try_to_stop();
    Result<void> give_memory(capture::KeptFromForks& kept);
    Result<void> wait_until_collected();
    Result<std::optional<Frozen>> outcome(std::uint64_t released);

    const Session& session_;
    const FreezeOrder& order_;
    const Memory memory_;
    Halt& halt_;
    const pid_t caller_ = getpid();
    std::string directory_; // of the process in /proc
    SharedMailbox mailbox_;

    std::optional<BlockedSignals> blocked_; // outlives the standstill
    std::unique_ptr<capture::Standstill> standstill_;
    bool stops_others_ = false;
    std::uint64_t stopped_ = 0; // when
    capture::OwnFacts facts_;

    std::uint64_t pages_ = 0; // that the copy must have
    pid_t copy_ = 0;
    std::uint64_t fork_ns_ = 0, stall_ns_ = 0;
};

} // namespace rfork::api
