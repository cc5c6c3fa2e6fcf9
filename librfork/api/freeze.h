// freeze(): a copy of the caller writes itself into a file while the caller waits.
#pragma once

#include "api/halt.h"
#include "api/session.h"
#include "base/result.h"
#include "image/image_file.h"
#include "snapshot/snapshot.h"

#include <string>
#include <sys/types.h>

namespace rfork::api {

struct FreezeOrder : image::Place {
    image::Id id{};
    image::Secret secret{}; // of an image that travels
    bool trusts_files = false;
    capture::Monitor monitor;
    capture::Ignored ignored;
    bool ends = false; // the original does, if all goes well: the program is to halt until then
    bool in_background = false;   // freeze() returns when the copy has been made
    bool leaves_children = false; // as fork(2) does; else they are an obstacle
};

struct Frozen {
    pid_t copy = 0;
    std::uint64_t bytes = 0;
    std::uint64_t fork_ns = 0;
    std::uint64_t stall_ns = 0; // for which the caller's threads stood still
    std::uint64_t write_ns = 0; // until the image was complete
};

// The copy has written its image when this returns, but may take a while to end.
Result<Frozen> freeze(const Session& session, const FreezeOrder& order, Halt& halt);

// The end of freeze(): until this has been called, the copy is a child nobody has waited for.
void reap_copy(pid_t copy);

} // namespace rfork::api
