// A system call as seen from outside: what it does to which file, and the means to do it in its
// maker's place, at once or later.
#pragma once

#include "base/unique_fd.h"
#include "faults/plan.h"

#include <linux/seccomp.h>
#include <string>
#include <sys/types.h>

namespace faults {

struct Operation {
    Call call = Call::other;
    std::string path; // of the file, absolute; of a rename, the old one
    std::string to;   // of a rename or link, the new one
    bool into_pipe = false;
};

Operation describe(const seccomp_notif& notification);

// What is needed to make the call after its maker has gone on, or is dead.
class Effect {
  public:
    explicit Effect(const seccomp_notif& notification);
    // As the user whose call it is. Returns the call's result, or -errno; 0 for calls that change
    // nothing.
    long take_place();
    bool is_rename() const { return to_name_.size() > 0 && !from_name_.empty(); }

  private:
    long perform();

    int number_ = 0;
    uid_t user_ = 0;
    gid_t group_ = 0;
    rfork::UniqueFd from_, to_; // the directories of the two names, or the file
    std::string from_name_, to_name_, data_;
    int flags_ = 0;
    mode_t mode_ = 0;
    long offset_ = -1;
};

std::string executable_of(pid_t process);

} // namespace faults
