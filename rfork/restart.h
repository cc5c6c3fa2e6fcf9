// rfork restart: continues the program of an image, as executing it does, with options.
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace rfork::tool {

struct RestartOptions {
    std::string image;
    std::string pid;               // "keep" or "new"; empty: as RFORK_PID says
    bool stop = false;             // before the first instruction
    bool rollback = false;         // files that have become longer
    std::vector<std::string> maps; // "OLD=NEW"; none: as RFORK_MAP says
};

// What is wrong with one of the maps; empty if nothing is.
std::string trouble_with_map(const std::string& map);

// Returns only if the image cannot be executed.
Result<void> restart(const RestartOptions& options);

} // namespace rfork::tool
