// rfork() and rfork_move(), told as a list of steps.
#pragma once

#include "api/options.h"
#include "api/session.h"
#include "api/timing.h"
#include "base/result.h"

namespace rfork::api {

// RFORK_PARENT, once the copy runs on `host`; does not return if the original is to end then.
Result<int> remote_fork(const Session& session, const char* host, const Options& options);

// For rfork-bench.
void keep_phase_times(const rfork_phase_times& times);

} // namespace rfork::api
