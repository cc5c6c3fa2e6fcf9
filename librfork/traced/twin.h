// A copy of the frozen process, made in its name and stopped at its first instruction: its memory
// and its descriptors as they were at that moment, for as long as it takes to write them down. It
// ends when it is let go, or when its tracer does.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "format/records/thread.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <span>
#include <sys/types.h>

namespace rfork::capture {

class Twin {
  public:
    Twin() = default;
    ~Twin() { end(); }
    Twin(const Twin&) = delete;
    Twin& operator=(const Twin&) = delete;

    // `room`: memory in it that is ours. `thread`: the one that it is a copy of. `levels`: how many
    // ids that one's process has.
    Result<void> begin(pid_t pid, Range room, const kinds::ThreadRecord& thread,
                       std::size_t levels);
    // A system call in its name.
    Result<long> call(long number, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0,
                      std::uint64_t d = 0, std::uint64_t e = 0) const;
    // Where such a call may read and write, and how much.
    std::uint64_t buffer() const;
    std::size_t buffer_size() const { return buffer_bytes; }

    pid_t pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    pid_t own_id() const { return own_id_; } // as the process calls it
    Result<UniqueFd> descriptor(int number) const;
    void end();

  private:
    static constexpr std::size_t buffer_bytes = 4096;
    pid_t pid_ = 0, own_id_ = 0;
    UniqueFd pidfd_;
    Range room_;
};

} // namespace rfork::capture
