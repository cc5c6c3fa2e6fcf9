// One of the two "hosts" between which the traveller hops: a rexecd on loopback.
#pragma once

#include "log_file.h"
#include "process.h"
#include "workplace.h"

#include <string>

namespace rfork::bench {

class Host {
  public:
    // Returns when it listens.
    Host(const std::string& rexecd, const Workplace& workplace, const char* name);

    const std::string& address() const { return address_; } // "127.0.0.1:PORT"

  private:
    LogFile log_;
    Process process_;
    std::string address_;
};

} // namespace rfork::bench
