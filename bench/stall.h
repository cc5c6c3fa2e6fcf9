// How long a process with many threads and a big heap stands still when it is frozen, and how long
// a fork(2) of it takes, the floor; measured by turns (crowd.c).
#pragma once

#include "base/progress.h"
#include "programs.h"
#include "workplace.h"

#include <vector>

namespace rfork::bench {

struct StallSamples { // milliseconds
    std::vector<double> fork;
    std::vector<double> stall;
    std::vector<double> seen; // by a thread of the process
};

StallSamples measure_stall(const Programs& programs, const Workplace& workplace,
                           Progress& progress);

} // namespace rfork::bench
