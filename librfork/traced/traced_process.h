// The source that is another process, which a tracer has stopped. What only it can be asked, it has
// been asked (outside_tracer.h); the rest /proc tells, or its twin has.
//
// It lives where it lives: in namespaces of its own, with its own root. Nothing here is asked about
// the process that rfork is.
#pragma once

#include "process/source.h"
#include "traced/twin.h"

#include <memory>

namespace rfork::capture {

// What has been found out while it stood still.
struct TracedFacts {
    KernelFacts kernel{};
    std::vector<Thread> threads;
    std::vector<PendingSignal> pending;
    std::vector<PosixTimer> posix_timers;
    // Memory that the twin was given although a fork would not have it.
    std::vector<std::pair<Range, std::uint32_t>> given; // VmFlag
};

class TracedProcess final : public Source {
  public:
    static Result<TracedProcess> open(pid_t pid, const std::string& directory,
                                      const TracedFacts& facts, const Twin& twin);

    int pid() const override { return pid_; }
    std::string path() const override { return path_; }
    int directory() const override { return directory_.get(); }
    const std::string& status() const override { return status_; }
    const KernelFacts& facts() const override { return facts_->kernel; }
    const std::vector<Thread>& threads() const override { return facts_->threads; }
    const std::vector<PendingSignal>& pending_signals() const override { return facts_->pending; }
    const std::vector<PosixTimer>& posix_timers() const override { return facts_->posix_timers; }
    const Beginnings& beginnings() const override { return *beginnings_; }
    std::uint64_t beginnings_address() const override { return 0; }
    std::uint32_t core_filter() const override;
    Result<UniqueFd> descriptor(int number) const override { return twin_->descriptor(number); }
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

    TracedProcess(TracedProcess&&) = default;

  private:
    TracedProcess(pid_t pid, UniqueFd directory, const TracedFacts& facts, const Twin& twin)
        : pid_(pid), path_("/proc/" + std::to_string(pid)), directory_(std::move(directory)),
          facts_(&facts), twin_(&twin) {}
    void find_beginnings();
    Result<bool> is_confined() const;
    Result<UniqueFd> look_up(const std::string& path, bool follows) const;

    pid_t pid_;
    std::string path_;
    UniqueFd directory_;
    std::string status_;
    std::unique_ptr<Beginnings> beginnings_ = std::make_unique<Beginnings>();
    const TracedFacts* facts_;
    const Twin* twin_;
};

} // namespace rfork::capture
