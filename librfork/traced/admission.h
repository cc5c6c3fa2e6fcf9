// Whether a process may be frozen from outside, by what /proc tells of it: looked at before anything
// is done to it, so that whoever is refused has not been touched.
#pragma once

#include "base/result.h"

#include <string>
#include <sys/types.h>

namespace rfork::capture {

struct Admitted {
    pid_t pid; // that of the program, where the one given is of the process in front of it
    std::string
        directory;    // in /proc: of the process, or of another thread if the main one has ended
    std::string name; // comm
};
Result<Admitted> admit(pid_t pid);

// The process in front of a resumed program is called "rfork", and its arguments end in what it calls
// the program (stub/title.cc): one of its children, which runs the same image. What else is called so
// is taken for itself.
pid_t program_behind(pid_t pid);

// "process 123 (name)"
std::string label_of(pid_t pid);

// Why ptrace(2) has refused it with `error`.
Error cannot_trace(pid_t pid, int error);

} // namespace rfork::capture
