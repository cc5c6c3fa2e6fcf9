// "<image name>.out" in the spool: standard output and error of a program under rexecd.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>

namespace rexecd {

struct ProgramLog {
    rfork::UniqueFd fd;
    bool is_new = false; // else a runner before us has made it, for a stub that may be at work
};

rfork::Result<ProgramLog> open_program_log(int spool, const std::string& image_name);

} // namespace rexecd
