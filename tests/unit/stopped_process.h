// A second source: a process given by its pid, of the same user, that somebody has stopped. As much
// of one as it takes to show that collectors see a process through its source alone; what only the
// process itself can be asked, this one does not know.
#pragma once

#include "base/clock.h"
#include "process/source.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace rfork::test {

class StoppedProcess final : public capture::Source {
  public:
    explicit StoppedProcess(pid_t pid)
        : pid_(pid), directory_(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
          pidfd_(int(::syscall(SYS_pidfd_open, pid, 0))), status_(text_of(path() + "/status")) {
        threads_.emplace_back().record.tid = pid;
        threads_.back().xstate.resize(576); // no more than every processor has, and nothing in it
        for (unsigned i = 0; i < kinds::limit_count; ++i)
            beginnings_.limits[i] = limit(i);
    }

    int pid() const override { return pid_; }
    std::string path() const override { return "/proc/" + std::to_string(pid_); }
    int directory() const override { return directory_.get(); }
    const std::string& status() const override { return status_; }
    const capture::KernelFacts& facts() const override { return facts_; }
    const std::vector<capture::Thread>& threads() const override { return threads_; }
    const std::vector<capture::PendingSignal>& pending_signals() const override { return pending_; }
    const std::vector<capture::PosixTimer>& posix_timers() const override { return timers_; }
    const capture::Beginnings& beginnings() const override { return beginnings_; }
    std::uint64_t beginnings_address() const override { return 0; }
    std::uint32_t core_filter() const override {
        return std::uint32_t(
            std::strtoul(text_of(path() + "/coredump_filter").c_str(), nullptr, 16));
    }
    Result<capture::Identity> identity() const override {
        capture::Identity identity;
        identity.pid = pid_;
        identity.parent = std::atoi(field(status_, "PPid").c_str());
        identity.uid = std::uint32_t(std::strtoul(field(status_, "Uid").c_str(), nullptr, 10));
        identity.gid = std::uint32_t(std::strtoul(field(status_, "Gid").c_str(), nullptr, 10));
        identity.name = field(status_, "Name");
        return identity;
    }
    Result<void> check_capturable() const override { return {}; }
    Result<UniqueFd> executable() const override { return open("exe", O_RDONLY); }
    Result<std::vector<capture::MemoryMapEntry>> memory_map() const override {
        const Result<UniqueFd> smaps = open("smaps", O_RDONLY);
        if (!smaps)
            return smaps.error();
        return capture::read_memory_map(smaps->get());
    }
    std::size_t read_memory(std::uint64_t address, void* to, std::size_t size) const override {
        const iovec here{to, size}, there{reinterpret_cast<void*>(address), size};
        const ssize_t got = process_vm_readv(pid_, &here, 1, &there, 1, 0);
        return got > 0 ? std::size_t(got) : 0;
    }
    Result<UniqueFd> descriptor(int number) const override {
        UniqueFd fd(int(::syscall(SYS_pidfd_getfd, pidfd_.get(), number, 0)));
        if (!fd)
            return system_error(errno, "cannot take descriptor " + std::to_string(number));
        return fd;
    }
    bool has_owner(int number) const override {
        const Result<UniqueFd> fd = descriptor(number);
        f_owner_ex owner{};
        return fd && fcntl(fd->get(), F_GETOWN_EX, &owner) == 0 && owner.pid != 0;
    }
    int examine(const std::string& name, struct stat& to, bool follows) const override {
        const int flags = follows ? 0 : AT_SYMLINK_NOFOLLOW;
        return fstatat(directory(), seen(name).c_str(), &to, flags) == 0 ? 0 : errno;
    }
    int examine_file_system(const std::string& name, struct statfs& to) const override {
        const Result<UniqueFd> file = open(seen(name).c_str(), O_PATH);
        return !file ? file.error().code : fstatfs(file->get(), &to) == 0 ? 0 : errno;
    }
    int check_access(const std::string& name, int mode) const override {
        return faccessat(directory(), seen(name).c_str(), mode, AT_EACCESS) == 0 ? 0 : errno;
    }
    Result<UniqueFd> socket(int, int, int) const override {
        return Error{ENOSYS, "there is no way into the network namespace of another process here"};
    }
    std::int64_t clock(int id) const override { return std::int64_t(clock_ns(id)); }
    kinds::Limit limit(unsigned resource) const override {
        kinds::Limit limit{};
        ::syscall(SYS_prlimit64, pid_, resource, nullptr, &limit);
        return limit;
    }

    void notice_beginnings(unsigned resource, kinds::Limit limit) {
        beginnings_.limits[resource] = limit;
    }

  private:
    Result<UniqueFd> open(const char* name, int flags) const {
        UniqueFd fd(openat(directory(), name, flags | O_CLOEXEC));
        if (!fd)
            return system_error(errno, std::string("cannot open ") + name);
        return fd;
    }
    static std::string seen(const std::string& name) { // from the process's own root and directory
        return (name.starts_with('/') ? "root" : "cwd/") + name;
    }

    pid_t pid_;
    UniqueFd directory_, pidfd_;
    std::string status_;
    capture::KernelFacts facts_{};
    std::vector<capture::Thread> threads_;
    std::vector<capture::PendingSignal> pending_;
    std::vector<capture::PosixTimer> timers_;
    capture::Beginnings beginnings_{};
};

} // namespace rfork::test
