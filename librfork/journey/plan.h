// What every hop has in common, whoever is frozen and by whom.
//
//   prepare    all that can be wrong without touching the process: names, spool, and whether the
//              target answers at all
//   (freeze)   the image, under the name that is its ticket
//   travel     the target is asked to run it, until it says so and the ticket bears it out, or a
//              reason to give up; then the ticket tells (remote/decide_outcome.h): the copy runs
//              after all, or never will
#pragma once

#include "image/image_file.h"
#include "journey/progress_reports.h"
#include "journey/settings.h"
#include "remote/client.h"

#include <string>
#include <sys/types.h>

namespace rfork::journey {

struct Plan {
    ProgressReports reports;
    remote::ResumeRequest request;
    image::Place place;
    bool trusts_files = false;

    // What the image says of where it goes.
    void describe(capture::Snapshot& snapshot) const;
};

// `program`: how the process calls itself.
Result<Plan> prepare(const Settings& settings, const char* host, const remote::Key& key,
                     const std::string& program, pid_t pid);

// When the image has its name. After an error no copy runs, nor will.
Result<remote::Reply> travel(Plan& plan);

// A child that a signal handler has forked meanwhile; the call goes on in its parent.
Error forked_meanwhile();

} // namespace rfork::journey
