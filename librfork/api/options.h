// struct rfork_options, as a call's steps see it.
#pragma once

#include "api/session.h"
#include "base/result.h"

#include <string>

namespace rfork::api {

struct Options {
    bool ends = false;            // the original does, when the program can go on elsewhere
    bool in_background = false;   // the program goes on while the image is written
    bool leaves_children = false; // as fork(2) does
    std::string ignored;          // kinds, as in RFORK_IGNORE; empty: what that says
};

// `given` may be null. What this version does not know is refused.
Result<Options> read_options(const rfork_options* given, Operation operation);

// Of calls about other processes.
struct OtherOptions {
    unsigned flags = 0;
    std::string ignored;
};
Result<OtherOptions> read_other_options(const rfork_options* given, unsigned allowed);

} // namespace rfork::api
