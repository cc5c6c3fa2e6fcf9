#include "rexecd/housekeeping.h"

#include "base/clock.h"
#include "remote/report.h"
#include "rexecd/child.h"
#include "rexecd/host_name.h"
#include "rexecd/log.h"
#include "rexecd/program_end.h"
#include "rexecd/sweep.h"

#include <algorithm>
#include <utility>

namespace rexecd {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds sweep_interval = 10min;
constexpr auto soon = 200ms; // so that a busy host does many chores at once
constexpr auto now_and_then = 5s;

} // namespace

Housekeeping::Housekeeping(boost::asio::io_context& io, std::string spool, long stale_seconds,
                           bool allow_root)
    : spool_(std::move(spool)), stale_seconds_(stale_seconds), allow_root_(allow_root),
      sweep_timer_(io), chore_timer_(io) {}

void Housekeeping::sweep() {
    if (sweeper_ <= 0)
        sweeper_ =
            fork_child(-1, [this](int) { sweep_spool(spool_, stale_seconds_, allow_root_); });
    // Whoever asks for a short age wants to see it at work.
    sweep_timer_.expires_after(
        std::clamp(std::chrono::seconds(stale_seconds_), std::chrono::seconds(1), sweep_interval));
    sweep_timer_.async_wait([this](boost::system::error_code stopped) {
        if (!stopped)
            sweep();
    });
}

void Housekeeping::program_started(Program program) {
    if (std::optional<Program> ended =
            programs_.started(std::move(program), rfork::libc_clock_ns(CLOCK_BOOTTIME)))
        tell_end(std::move(*ended));
    do_chores_in(now_and_then);
}

void Housekeeping::acknowledged(const rfork::image::Id& request) {
    programs_.acknowledged(request);
    do_chores_in(soon);
}

void Housekeeping::child_ended(pid_t child, int status) {
    if (child == sweeper_) {
        sweeper_ = 0;
    } else if (child == cleaner_) {
        cleaner_ = 0;
    } else {
        if (std::optional<Program> ended =
                programs_.ended(child, status, rfork::libc_clock_ns(CLOCK_BOOTTIME)))
            tell_end(std::move(*ended));
        do_chores_in(soon);
    }
}

void Housekeeping::tell_end(Program program) {
    const std::string how = "ended: " + end_text(*program.status);
    log(Level::info, program.ticket + ": process " + std::to_string(program.process) + " " + how);
    if (program.monitor_address) {
        sockaddr_in monitor{};
        monitor.sin_family = AF_INET;
        monitor.sin_addr.s_addr = program.monitor_address;
        monitor.sin_port = program.monitor_port;
        const std::string line = program.monitor_name + ": process " +
                                 std::to_string(program.process) + " on " + host_name() + " " + how;
        (void)bool(rfork::remote::send_report(monitor, line));
    }
    ends_.push_back(std::move(program));
}

void Housekeeping::do_chores_in(Pause pause) {
    if (chores_soon_ || (!programs_.any_chores_later() && ends_.empty() && chores_.empty()))
        return;
    chores_soon_ = pause == soon;
    chore_timer_.expires_after(pause); // cancels the one before
    chore_timer_.async_wait([this](boost::system::error_code stopped) {
        if (!stopped)
            do_chores();
    });
}

void Housekeeping::do_chores() {
    chores_soon_ = false;
    if (cleaner_ <= 0) {
        if (chores_.empty()) // else no child could be forked for them
            chores_ = {programs_.take_chores(rfork::libc_clock_ns(CLOCK_BOOTTIME)),
                       std::exchange(ends_, {})};
        if (!chores_.empty())
            cleaner_ = fork_child(-1, [this](int) { clean_up(spool_, chores_, allow_root_); });
        if (cleaner_ > 0)
            chores_ = {};
    }
    do_chores_in(cleaner_ > 0 ? Pause(soon) : Pause(now_and_then));
}

} // namespace rexecd
