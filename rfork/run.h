// rfork run: starts a program that knows nothing of rfork, and keeps an image of it that is no older
// than one likes.
#pragma once

#include "base/result.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace rfork::tool {

struct RunOptions {
    std::vector<std::string> command;
    std::optional<std::chrono::milliseconds> every;
    std::chrono::milliseconds at_least{0}; // between two checkpoints
    std::vector<int> signals;              // at which one is made
    int keep = 1;                          // images
    std::string output;                    // empty: rfork.<name of the command>
    bool restart = false;                  // goes on from `output`, if it is there
    bool rolls_back = true;                // then files are cut back to their length
    std::optional<int> exit_after;         // ends with this status after a checkpoint at a signal
    bool preloads = false;                 // freezes itself, as nobody may trace it
    std::string ignored;                   // kinds, as in RFORK_IGNORE
    bool quiet = false;
};

// "90", "90s", "15m", "2h", "1.5d", "200ms"
Result<std::chrono::milliseconds> parse_duration(const std::string& text);
// "USR1,TERM", "SIGUSR1", "10"
Result<std::vector<int>> parse_signals(const std::string& text);

// The program's own exit status. If a signal has ended it, the same signal ends rfork.
Result<int> run(const RunOptions& options);

} // namespace rfork::tool
