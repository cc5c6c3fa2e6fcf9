// Executes an image whose descriptor was checked, in a process of its own.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "rexecd/program_log.h"

#include <string>
#include <sys/types.h>

namespace rexecd {

struct Start {
    int image;
    std::string ticket_path; // absolute
    std::string attempt;     // the id by which its ticket will be known, if it is won
    LogName log;
};

struct Launched {
    pid_t program = 0;
    rfork::UniqueFd status; // where its StatusMessage can be read; a failed exec says so here, too
    LogFile log;
    bool log_is_new = false;
};

rfork::Result<Launched> launch(const Start& start);

} // namespace rexecd
