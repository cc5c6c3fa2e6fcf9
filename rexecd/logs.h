// Which programs may have left an empty log in the spool.
//
// rexecd gives every program "<image name>.out" for its output, and most write nothing. When the
// last process of the program's group has ended, the log is removed if it is empty. The group may
// outlive the program, which may not even be our child (a predecessor of this daemon started it);
// so groups are looked at now and then, and soon after a child has ended. A process that leaves the
// group by setsid() is expected to have an output of its own.
#pragma once

#include "rexecd/sweep.h"

#include <cstddef>
#include <vector>

namespace rexecd {

class Logs {
  public:
    // Beyond this, empty logs stay behind.
    static constexpr std::size_t limit = 64 * 1024;

    void watch(pid_t group, EndedLog log);
    std::vector<EndedLog> take_ended();
    bool empty() const { return watched_.empty(); }

  private:
    struct Watched {
        pid_t group;
        EndedLog log;
    };
    std::vector<Watched> watched_;
};

} // namespace rexecd
