// When to clean the spool: stale files at the start and every ten minutes, what programs leave soon
// after they have ended or their callers have acknowledged them. The work itself is done by forked
// children, one of each kind at a time.
#pragma once

#include "rexecd/programs.h"
#include "rexecd/sweep.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

namespace rexecd {

class Housekeeping {
  public:
    Housekeeping(boost::asio::io_context& io, std::string spool, long stale_seconds,
                 bool allow_root);

    void start() { sweep(); }
    void program_started(Program program);
    void acknowledged(const rfork::image::Id& request);
    void child_ended(pid_t child, int status); // any child of the daemon; it is reaped

  private:
    using Pause = std::chrono::milliseconds;

    void sweep();
    void tell_end(Program program);
    void do_chores_in(Pause pause);
    void do_chores();

    std::string spool_;
    long stale_seconds_;
    bool allow_root_;
    Programs programs_;
    std::vector<Program> ends_; // to be written beside the logs
    Chores chores_;             // taken, and no child has begun with them
    boost::asio::steady_timer sweep_timer_, chore_timer_;
    bool chores_soon_ = false;
    pid_t sweeper_ = 0, cleaner_ = 0;
};

} // namespace rexecd
