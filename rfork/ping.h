// rfork ping: does a rexecd answer on these hosts, with our key and our time?
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace rfork::tool {

struct PingOptions {
    std::vector<std::string> hosts;
    std::string key_file; // empty: RFORK_KEY_FILE
    int timeout_ms = 3000;
};

// A line for each host on standard output; those that do not answer are the error.
Result<void> ping(const PingOptions& options);

} // namespace rfork::tool
