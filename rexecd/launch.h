// Executes an image whose descriptor was checked, in a process of its own.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "rexecd/identity.h"

#include <string>
#include <sys/types.h>

namespace rexecd {

struct Start {
    int image;
    int spool;
    int log; // standard output and error
    const std::string& image_name;
    const Identity& identity;
};

struct Launched {
    pid_t program = 0;
    rfork::UniqueFd status; // where its StatusMessage can be read; a failed exec says so here, too
};

rfork::Result<Launched> launch(const Start& start);

} // namespace rexecd
