// When to clean the spool: stale files at the start and every ten minutes, empty logs soon after
// their programs have ended. The work itself is done by forked children, one of each kind at a
// time.
#pragma once

#include "rexecd/logs.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <sys/types.h>

namespace rexecd {

class Housekeeping {
  public:
    Housekeeping(boost::asio::io_context& io, std::string spool, long stale_seconds);

    void start() { sweep(); }
    void program_started(pid_t group, EndedLog log);
    void child_ended(pid_t child); // any child of the daemon; it is reaped

  private:
    using Pause = std::chrono::milliseconds;

    void sweep();
    void look_at_logs_in(Pause pause);
    void look_at_logs();

    std::string spool_;
    long stale_seconds_;
    Logs logs_;
    boost::asio::steady_timer sweep_timer_, log_timer_;
    bool looks_soon_ = false;
    pid_t sweeper_ = 0, log_cleaner_ = 0;
};

} // namespace rexecd
