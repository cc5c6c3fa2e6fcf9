// The environment of a program that calls rfork().
#pragma once

#include "base/result.h"
#include "snapshot/ignored.h"

#include <string>

namespace rfork::journey {

struct Settings {
    std::string spool;         // RFORK_SPOOL
    std::string key_file;      // RFORK_KEY_FILE
    std::string monitor;       // RFORK_MONITOR; empty: silent
    std::string log;           // RFORK_LOG: pattern of the log's name; empty: rexecd's own
    int timeout_ms = 15000;    // RFORK_TIMEOUT_MS
    bool trusts_files = false; // RFORK_FILES=trust
};

Result<Settings> read_settings();
Result<int> read_timeout(); // in milliseconds
// What somebody has said, or, if that is nothing, RFORK_IGNORE.
Result<capture::Ignored> read_ignored(const std::string& said);

} // namespace rfork::journey
