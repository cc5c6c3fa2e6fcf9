#include "remote/decide_outcome.h"

#include "base/clock.h"
#include "base/notice.h"
#include "base/result.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <poll.h>
#include <unistd.h>

namespace rfork::remote {

namespace {

constexpr int first_pause_ms = 1, longest_pause_ms = 200;
constexpr std::int64_t first_notice_ms = 2'000, notice_interval_ms = 60'000;
constexpr std::int64_t absence_counts_after_ms = 5'000;
constexpr std::int64_t absence_counts_until_ms = 12 * 3600 * 1000; // half of what names last

// Without allocation: this may go on for days.
class Notices {
  public:
    void maybe_say(const std::string& ticket, int error) {
        if (boottime_ms() < next_)
            return;
        next_ = boottime_ms() + notice_interval_ms;
        char line[400];
        const int size =
            std::snprintf(line, sizeof line,
                          "rfork: waiting for the spool to tell whether the copy runs (%s): %s\n",
                          ticket.c_str(), error ? errno_text(error).data() : "its ticket is gone");
        write_notice({line, std::min(std::size_t(size), sizeof line - 1)});
    }

  private:
    std::int64_t next_ = boottime_ms() + first_notice_ms;
};

// How long all names have been missing without a break, as far as anybody looked.
class Absence {
  public:
    explicit Absence(std::int64_t asked_ms) : asked_(asked_ms) {}
    bool counts(bool absent) {
        const std::int64_t now = boottime_ms();
        if (!absent)
            since_ = 0;
        else if (!since_)
            since_ = now;
        return since_ && now - since_ >= absence_counts_after_ms &&
               now - asked_ < absence_counts_until_ms;
    }

  private:
    const std::int64_t asked_;
    std::int64_t since_ = 0;
};

} // namespace

std::int64_t boottime_ms() {
    return std::int64_t(libc_clock_ns(CLOCK_BOOTTIME) / 1'000'000);
}

Outcome decide_outcome(const Undecided& copy) {
    const pid_t caller = getpid();
    Notices notices;
    Absence absence(copy.asked_ms);
    Met met;
    for (int pause = first_pause_ms;; pause = std::min(pause * 2, longest_pause_ms)) {
        const Outcome outcome = try_give_up(copy.directory.get(), copy.ticket, true, met);
        if (outcome != Outcome::unclear)
            return outcome;
        if (met.error == ESTALE)
            copy.directory.open_again();
        if (absence.counts(met.error == 0))
            return copy.said_resumed || met.running ? Outcome::runs : Outcome::given_up;
        notices.maybe_say(copy.ticket, met.error);
        poll(nullptr, 0, pause);
        if (getpid() != caller) // a child that a signal handler has forked: not its concern
            return Outcome::unclear;
    }
}

} // namespace rfork::remote
