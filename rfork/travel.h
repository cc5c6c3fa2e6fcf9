// rfork migrate and rfork clone: a process, given by its pid, goes to another host; rfork exec: an
// image is run there.
#pragma once

#include "base/result.h"

#include <string>
#include <sys/types.h>

namespace rfork::tool {

struct TravelOptions {
    pid_t pid = 0;
    std::string host;
    std::string ignored; // kinds, as in RFORK_IGNORE
    bool quiet = false;
};

Result<void> migrate(const TravelOptions& options);
Result<void> clone(const TravelOptions& options);

struct ExecOptions {
    std::string host, image;
    bool quiet = false;
};

Result<void> exec(const ExecOptions& options);

} // namespace rfork::tool
