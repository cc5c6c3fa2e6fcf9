// Where a snapshot comes from. Today the caller itself (self.h); a process given by pid, and an
// image that exists already, will be others. Collectors see a process only through this.
#pragma once

#include "arch/arch.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "capture/pending_signals.h"
#include "capture/posix_timers.h"
#include "capture/snapshot.h"
#include "kinds/attributes/record.h"
#include "kinds/interval_timers/record.h"
#include "kinds/signal_actions/record.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace rfork::capture {

// What only the process itself, or a tracer in its place, can ask the kernel.
struct KernelFacts {
    std::array<kinds::SignalAction, kinds::signal_count> signal_actions{};
    std::array<kinds::IntervalTimer, kinds::interval_timer_count> interval_timers{};
    std::uint64_t persona = 0;
    std::uint64_t brk = 0;
    bool no_new_privileges = false;
    bool child_subreaper = false;
    bool thp_disable = false;
    bool dumpable = true;
    bool memory_merge = false;
    bool keep_capabilities = false;
    std::uint32_t deny_write_execute = 0; // PR_GET_MDWE
    char name_of_ended_main[16] = {};     // empty if the main thread lives
};

class Source {
  public:
    // The process as /proc shows it: its pid there, and its directory.
    virtual int pid() const = 0;
    virtual int directory() const = 0;
    virtual const std::string& status() const = 0; // /proc/PID/status
    virtual const KernelFacts& facts() const = 0;
    virtual const std::vector<Thread>& threads() const = 0;
    virtual const std::vector<PendingSignal>& pending_signals() const = 0;
    virtual const std::vector<PosixTimer>& posix_timers() const = 0;
    // Another descriptor of the open file behind the process's descriptor `number`.
    virtual Result<UniqueFd> descriptor(int number) const = 0;

    // A whole file; of one that is larger than the limit, no less than that.
    static constexpr std::size_t read_limit = 1024 * 1024;
    Result<std::string> read(const char* name) const;
    Result<std::string> link(const std::string& name) const; // where a symbolic link leads

  protected:
    ~Source() = default;
};

// The value behind "name:" in the text of /proc/PID/status and its like; "" if it is not there.
std::string field(const std::string& text, const char* name);

} // namespace rfork::capture
