// Some things are only known when they have been tried, and change the process that tries them.
#pragma once

#include <functional>
#include <sys/types.h>

namespace rfork::tool {

// Has a child do it, which ends with it, and answers what it has: 0 or an errno value. EPERM, too,
// if a sandbox has killed the child, and ETIMEDOUT if it took seconds.
int try_in_child(const std::function<int()>& attempt);

// 0 or errno, for what returns -1.
int error_of(long result);

// A child that does nothing until it is killed, at the latest by the death of who has made it.
class IdleChild {
  public:
    IdleChild();
    ~IdleChild();
    IdleChild(const IdleChild&) = delete;
    IdleChild& operator=(const IdleChild&) = delete;
    pid_t pid() const { return pid_; } // -1, and errno, if there is none

  private:
    pid_t pid_;
};

} // namespace rfork::tool
