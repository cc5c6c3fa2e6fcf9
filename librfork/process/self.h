// The source that is the caller itself.
//
// Capture happens in two places. In the caller, before anything else: what a copy would not inherit
// (robust list, tid address) and what only the process can ask (signal actions, alternate stack).
// Then in a copy of the caller made for the purpose: everything else, while the caller waits.
#pragma once

#include "base/unique_fd.h"
#include "process/own_beginnings.h"
#include "process/source.h"

#include <sys/types.h>

namespace rfork::capture {

// The calling thread's registers as they were saved at the entry of the call.
struct SavedRegisters {
    const arch::Registers& general;
    const std::uint8_t* xstate; // an XSAVE area, or what FXSAVE writes
    bool by_xsave;
    std::uint64_t signal_mask; // before the call blocked any
    bool without_tsc;          // before the call made it readable
};

// Asked in the caller.
struct OwnFacts {
    std::string directory; // the process's in /proc
    KernelFacts kernel{};
    std::vector<Thread> threads; // the caller first
    Result<std::vector<PosixTimer>> posix_timers = std::vector<PosixTimer>();
    bool knows_rseq = true; // where the calling thread's restartable sequences are
    // Of the process and of this thread.
    std::uint64_t pending_set = 0;
    // What a tracer adds; all signals are blocked until the copy is made.
    std::vector<PendingSignal> pending;
    std::uint64_t pending_read = 0; // CLOCK_MONOTONIC, ns; 0: there was no tracer
};
OwnFacts ask_own_facts(std::string directory, const SavedRegisters& saved);
// As a tracer has read it; nullptr if it could not.
void take_rseq(const kinds::ThreadRecord* read, OwnFacts& facts);
void add_other_threads(std::vector<Thread> others, bool by_xsave, OwnFacts& facts);

// Where the calling process is found in /proc, which may have been mounted in another pid
// namespace.
Result<std::string> own_proc_directory();
std::string process_directory(const std::string& directory); // without /task/TID
Result<std::size_t> count_threads(const std::string& directory);

// Seen from the copy: the caller is the copy's parent, which stands still and waits.
class Self : public Source {
  public:
    static Result<Self> open(const OwnFacts& facts);

    int pid() const override { return pid_; }
    std::string path() const override { return process_directory(facts_->directory); }
    int directory() const override { return directory_.get(); }
    const std::string& status() const override { return status_; }
    const KernelFacts& facts() const override { return facts_->kernel; }
    const std::vector<Thread>& threads() const override { return facts_->threads; }
    const std::vector<PendingSignal>& pending_signals() const override { return facts_->pending; }
    const std::vector<PosixTimer>& posix_timers() const override { return *facts_->posix_timers; }
    const Beginnings& beginnings() const override { return own_beginnings(); }
    std::uint64_t beginnings_address() const override {
        return reinterpret_cast<std::uint64_t>(own_beginnings().limits);
    }
    std::uint32_t core_filter() const override;
    Result<UniqueFd> descriptor(int number) const override;
    bool has_owner(int number) const override;
    Result<Identity> identity() const override;
    Result<void> check_capturable() const override;
    Result<UniqueFd> executable() const override;
    Result<std::vector<MemoryMapEntry>> memory_map() const override;
    std::size_t read_memory(std::uint64_t address, void* to, std::size_t size) const override;
    int examine(const std::string& path, struct stat& to, bool follows) const override;
    int examine_file_system(const std::string& path, struct statfs& to) const override;
    int check_access(const std::string& path, int mode) const override;
    Result<UniqueFd> socket(int domain, int type, int protocol) const override;
    std::int64_t clock(int id) const override;
    kinds::Limit limit(unsigned resource) const override;

    Self(Self&&) = default;

  private:
    Self(pid_t pid, UniqueFd directory, const OwnFacts& facts)
        : pid_(pid), directory_(std::move(directory)), facts_(&facts) {}

    std::uint32_t exit_signal() const;

    pid_t pid_;
    UniqueFd directory_;
    std::string status_;
    const OwnFacts* facts_;
};

} // namespace rfork::capture
