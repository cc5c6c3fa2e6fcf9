// A launched image, seen from the runner that waits for it: what it says, and how it ends.
#pragma once

#include "format/status.h"

#include <string>
#include <sys/types.h>

namespace rexecd {

enum class Voice {
    spoke,
    silent, // nothing came in ten minutes, the time for an image on a slow file system
    ended,  // it closed the pipe without a word
};

// The stub's one message.
Voice hear(int status, rfork::image::StatusMessage& message);

// Waits up to five seconds, from the end of the pipe to that of the process.
bool has_died(pid_t process);

// How a process that has died ended, for a sentence.
std::string death_of(pid_t process);

// Kills it. It is not waited for when it hangs in a file system; the daemon, its next parent, will
// do that.
void end(pid_t process);

} // namespace rexecd
