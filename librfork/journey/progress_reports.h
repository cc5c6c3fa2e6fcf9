// The lines that a monitor sees of every rfork: two from here, one from the copy's stub.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <sys/types.h>

namespace rfork::journey {

class ProgressReports {
  public:
    // Of the process `program`, `pid`. Silent if `monitor` is empty, or cannot be resolved: that is
    // no reason not to go.
    static Result<ProgressReports> to(const std::string& monitor, const std::string& program,
                                      pid_t pid);

    capture::Monitor dump_started(const std::string& host);
    void dump_finished(std::uint64_t bytes);
    void failed(const Error& error);

  private:
    void say(const std::string& what);

    std::string who_;
    sockaddr_in to_{};
    bool listening_ = false;
    std::uint64_t started_ = 0;
};

} // namespace rfork::journey
