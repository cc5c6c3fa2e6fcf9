// rexecd's lines on standard error (base/daemon_log.h).
#pragma once

#include "base/daemon_log.h"

namespace rexecd {

using rfork::Level;

inline void log(Level level, std::string_view sentence) {
    rfork::log("rexecd", level, sentence);
}

} // namespace rexecd
