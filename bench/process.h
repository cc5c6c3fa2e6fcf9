// A process we have started: it never outlives its object.
#pragma once

#include "base/unique_fd.h"

#include <cstdint>
#include <string>
#include <vector>

namespace rfork::bench {

class Process {
  public:
    // Reads nothing, writes its output and errors to the descriptor `output`.
    Process(const std::vector<std::string>& command, const std::vector<std::string>& environment,
            int output = 1);
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() { end(); }

    int pid() const { return pid_; }
    std::int64_t exec_time() const { return exec_time_; }
    bool ended(); // and if so, reaps it
    void end();   // SIGTERM, patience, SIGKILL

  private:
    int pid_ = 0;
    volatile std::int64_t exec_time_ = 0;
};

// Another host's child, which only can be watched: readable when the process has ended.
UniqueFd watch(int pid);
bool wait_until_ended(const UniqueFd& watched, int timeout_ms);

} // namespace rfork::bench
