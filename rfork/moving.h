// A process that is on its way to another host, and what whoever comes next does if rfork is killed
// meanwhile.
//
// Before the target is asked, the process is sent SIGSTOP, which takes effect when its tracer dies;
// so it does not run on here although it may run there. Which ticket decides that, a file says in
// the user's own directory of the spool, beside the ticket: "moving.<boot>.<pid>.<start>". As long as
// the rfork that wrote it lives, it is locked.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>
#include <sys/types.h>

namespace rfork::tool {

class Moving {
  public:
    // `directory`: the user's in the spool, in which the ticket lies.
    static Result<Moving> begin(pid_t pid, const std::string& directory, const std::string& ticket);
    Moving(Moving&&) = default;
    ~Moving();

  private:
    Moving(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    UniqueFd fd_;
};

// If an rfork that moved the process has been killed: asks the spool what became of the copy, and
// ends the process, or lets it go on. Says so. Nothing otherwise. `directory`: the user's in the
// spool.
Result<void> settle(const std::string& directory, pid_t pid);
// All processes of the user on this host, by RFORK_SPOOL.
Result<void> settle_all();

} // namespace rfork::tool
