// Where a snapshot comes from. Today the caller itself (self.h); a process given by pid, and an
// image that exists already, will be others. Collectors see a process only through this.
#pragma once

#include "arch/arch.h"
#include "ask/process_query.h"
#include "base/proc.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "process/beginnings.h"
#include "process/memory_map.h"
#include "process/pending_signals.h"
#include "process/posix_timers.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <string>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <vector>

namespace rfork::capture {

// What a process says of itself, and what of it only the copy can see.
struct KernelFacts : ask::ProcessAnswers {
    char name_of_ended_main[16]; // empty if the main thread lives
};

class Source {
  public:
    // The process as /proc shows it: its pid there, the path of its directory, and that directory
    // itself; or, when the main thread has ended, the one of another thread.
    virtual int pid() const = 0;
    virtual std::string path() const = 0;
    virtual int directory() const = 0;
    virtual const std::string& status() const = 0; // /proc/PID/status
    virtual const KernelFacts& facts() const = 0;
    virtual const std::vector<Thread>& threads() const = 0;
    virtual const std::vector<PendingSignal>& pending_signals() const = 0;
    virtual const std::vector<PosixTimer>& posix_timers() const = 0;
    virtual const Beginnings& beginnings() const = 0;
    // Where in its memory it keeps their limits itself, for the stub to bring up to date; or 0.
    virtual std::uint64_t beginnings_address() const = 0;
    virtual std::uint32_t core_filter() const = 0; // /proc/PID/coredump_filter
    // Another descriptor of the open file behind the process's descriptor `number`.
    virtual Result<UniqueFd> descriptor(int number) const = 0;
    // Whether the open file behind it has somebody to send signals to (F_SETOWN, F_SETSIG).
    virtual bool has_owner(int number) const = 0;
    virtual Result<Identity> identity() const = 0;
    // What an image cannot carry although no collector would come across it.
    virtual Result<void> check_capturable() const = 0;
    virtual Result<UniqueFd> executable() const = 0; // the file that it runs
    virtual Result<std::vector<MemoryMapEntry>> memory_map() const = 0;
    // Its memory; how many bytes there are from `address` on.
    virtual std::size_t read_memory(std::uint64_t address, void* to, std::size_t size) const = 0;
    // What a path leads the process to, from its own root and working directory: 0, or an errno.
    virtual int examine(const std::string& path, struct stat& to, bool follows = true) const = 0;
    virtual int examine_file_system(const std::string& path, struct statfs& to) const = 0;
    virtual int check_access(const std::string& path, int mode) const = 0; // R_OK ..., effectively
    // A new socket in its network namespace.
    virtual Result<UniqueFd> socket(int domain, int type, int protocol) const = 0;
    // What a clock shows to it, ns; the clocks of a time namespace are its own.
    virtual std::int64_t clock(int id) const = 0;
    // Its limit on a resource (RLIMIT_*).
    virtual kinds::Limit limit(unsigned resource) const = 0;

    // A whole file; of one that is larger than the limit, no less than that.
    static constexpr std::size_t read_limit = 1024 * 1024;
    Result<std::string> read(const char* name) const;
    Result<std::string> link(const std::string& name) const; // where a symbolic link leads

  protected:
    ~Source() = default;
};

} // namespace rfork::capture
