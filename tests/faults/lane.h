// One spool with a caller, a rexecd and what goes wrong between them, one trial after the other.
// Lanes know nothing of each other, so that several may wait at the same time.
#pragma once

#include "faults/operation.h"
#include "faults/plan.h"
#include "faults/zygote.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace faults {

struct Setting {
    std::string spool;   // a mounted file system of this lane's own, if it is to be filled
    std::string scratch; // a directory for logs and for what callers and copies write
    std::string forks;   // tests/programs/hop.c
    std::string moves;   // moving.c
    std::string rexecd;
    std::string target; // host and port at which it listens
    std::string callers_key, rexecds_key;
    bool trace = false;                            // print every call
    std::vector<std::string> on_caller, on_target; // commands that bring a command to a host
};

struct Verdict {
    std::string complaint; // empty: all is well
    std::string outcome;   // "PARENT", "-1 EIO: ...", "killed"
    int reached = 0;       // so many of the plan's faults
    bool copy_ran = false;
};

class Lane {
  public:
    explicit Lane(const Setting& setting);
    Verdict run(const Plan& plan);
    // What a trial without faults does, "role call" to how often.
    const std::map<std::string, int>& counts() const { return counts_; }

  private:
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    enum Programs : std::size_t { forking_program, moving_program, daemon_program };
    struct Outage {
        Time until{};
        int error = 0; // 0: no answer at all
    };

    // the loop
    void pump(Time until);
    bool pump_until(Time deadline, const std::function<bool()>& condition);
    void later(int ms, std::function<void()> work);
    void hear_zygote();
    void hear_listener();

    // faults
    void consider(const seccomp_notif& notification);
    Role role_of(const seccomp_notif& notification, const std::string& executable) const;
    void trace(pid_t process, Role role, const Operation& operation) const;
    void act(const Fault& fault, const seccomp_notif& notification, const Operation& operation,
             Role role);
    void kill(pid_t process, Role role);
    void effect_later(int ms, const seccomp_notif& notification, Role role);
    bool under_outage(const seccomp_notif& notification, const Operation& operation, Role role);
    void kill_writers();
    void lose_tickets();
    void fill_spool(int ms);
    void make_read_only(int ms);

    // trials
    void prepare(const Plan& plan);
    bool daemon_is_ready() const;
    void finish(Verdict& verdict);
    void judge(Verdict& verdict);
    bool ticket_is_left() const;
    void judge_move(Verdict& verdict);
    void judge_fork(Verdict& verdict);
    bool all_quiet();
    std::string who_lives() const;
    void kill_the_rest();
    bool a_copy_has_won() const;
    std::string scratch(const char* name) const { return setting_.scratch + "/" + name; }

    const Setting setting_;
    Zygote zygote_;
    std::multimap<Time, std::function<void()>> timers_;

    pid_t caller_ = 0, daemon_ = 0;
    bool caller_ended_ = false, daemon_wanted_ = true;
    int caller_status_ = 0;

    Time begun_{};
    std::vector<Fault> faults_;
    std::vector<bool> reached_;
    std::map<std::string, int> counts_;
    std::map<bool, Outage> outages_; // true: the caller's host
    std::set<pid_t> seen_, writers_;
    std::set<pid_t> stopped_;
    bool moves_ = false; // in this trial
    bool caller_killed_ = false, winner_killed_ = false;
};

} // namespace faults
