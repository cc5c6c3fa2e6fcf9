// What all commands have in common that freeze a process.
#pragma once

#include "base/result.h"
#include "image/image_file.h"
#include "traced/freeze_process.h"

#include <optional>
#include <string>

namespace rfork::tool {

// From when this is made, what would end rfork (SIGINT, SIGTERM, SIGHUP) ends its work instead, so
// that the process goes on and no half file is left; and SIGCHLD is blocked, as tracing needs it.
class Interruptible {
  public:
    Interruptible();
    static bool interrupted() { return capture::TwinPages::interrupted; }
};

// Writes the snapshot to a file, a named pipe, "-" or "fd:N"; returns how long the image is. Shows
// on a terminal how far it is, unless `quiet`.
Result<std::uint64_t> write_image_to(const std::string& output, const capture::Snapshot& snapshot,
                                     bool quiet);
Result<std::uint64_t> write_image_at(const image::Place& place, const capture::Snapshot& snapshot,
                                     bool quiet);

} // namespace rfork::tool
