// Standard output and error of a program under rexecd.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace rexecd {

// What a name is made of. In a pattern, %n is the program's own name, %h the host, %p the process
// id, %i the image's id, %t the time (UTC, 20260131T235959Z), %% a percent sign.
struct LogName {
    std::string pattern; // empty: "%n.%h.%p.out", and a number where that is taken
    std::string directory; // where a relative name begins: the user's in the spool
    std::string program;
    std::string image;
};

// A path may lead elsewhere later; what is done about a log is done to this file only.
struct LogFile {
    std::string path;
    std::uint64_t device = 0, inode = 0;
};

struct ProgramLog {
    rfork::UniqueFd fd;
    LogFile file;
    bool is_new = false; // else it was there, and is appended to
};

std::string expand(const std::string& pattern, const LogName& name, pid_t process);

rfork::Result<ProgramLog> open_program_log(const LogName& name, pid_t process);

// Beside it: how the program ended.
std::string status_file_of(const std::string& log);

} // namespace rexecd
