// rfork checkpoint: a process, given by its pid, into an executable file.
#pragma once

#include "base/result.h"

#include <string>
#include <sys/types.h>

namespace rfork::tool {

// What becomes of the process.
enum class Afterwards { leave_running, stop, kill };

struct CheckpointOptions {
    pid_t pid = 0;
    std::string output; // a path, "-", "fd:N"; empty: rfork.<name>.<pid>
    Afterwards afterwards = Afterwards::leave_running;
    bool stands_still = false; // while the image is written
    std::string ignored;       // kinds, as in RFORK_IGNORE
    bool quiet = false;
    bool json = false;
};

Result<void> checkpoint(const CheckpointOptions& options);

} // namespace rfork::tool
