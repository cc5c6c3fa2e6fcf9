// The lines that a monitor sees of every rfork: two from here, one from the copy's stub.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <netinet/in.h>
#include <string>

namespace rfork::api {

// As the calling thread calls it: comm in proc(5).
std::string program_name();

class ProgressReports {
  public:
    // Silent if `monitor` is empty, or cannot be resolved: that is no reason not to go.
    static Result<ProgressReports> to(const std::string& monitor);

    capture::Monitor dump_started(const std::string& host);
    void dump_finished(std::uint64_t bytes);
    void failed(const Error& error);

  private:
    void say(const std::string& what);

    sockaddr_in to_{};
    bool listening_ = false;
    std::uint64_t started_ = 0;
};

} // namespace rfork::api
