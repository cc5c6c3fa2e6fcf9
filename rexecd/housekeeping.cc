#include "rexecd/housekeeping.h"

#include "rexecd/child.h"

#include <algorithm>

namespace rexecd {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds sweep_interval = 10min;
constexpr auto soon = 200ms; // so that a busy host cleans many logs at once
constexpr auto now_and_then = 5s;

} // namespace

Housekeeping::Housekeeping(boost::asio::io_context& io, std::string spool, long stale_seconds)
    : spool_(std::move(spool)), stale_seconds_(stale_seconds), sweep_timer_(io), log_timer_(io) {}

void Housekeeping::sweep() {
    if (sweeper_ <= 0)
        sweeper_ = fork_child(-1, [this](int) { sweep_spool(spool_, stale_seconds_); });
    // Whoever asks for a short age wants to see it at work.
    sweep_timer_.expires_after(
        std::clamp(std::chrono::seconds(stale_seconds_), std::chrono::seconds(1), sweep_interval));
    sweep_timer_.async_wait([this](boost::system::error_code stopped) {
        if (!stopped)
            sweep();
    });
}

void Housekeeping::program_started(pid_t group, EndedLog log) {
    logs_.watch(group, std::move(log));
    look_at_logs_in(now_and_then);
}

void Housekeeping::child_ended(pid_t child) {
    if (child == sweeper_)
        sweeper_ = 0;
    else if (child == log_cleaner_)
        log_cleaner_ = 0;
    else
        look_at_logs_in(soon);
}

void Housekeeping::look_at_logs_in(Pause pause) {
    if (looks_soon_ || logs_.empty())
        return;
    looks_soon_ = pause == soon;
    log_timer_.expires_after(pause); // cancels the one before
    log_timer_.async_wait([this](boost::system::error_code stopped) {
        if (!stopped)
            look_at_logs();
    });
}

void Housekeeping::look_at_logs() {
    looks_soon_ = false;
    if (log_cleaner_ <= 0) {
        std::vector<EndedLog> ended = logs_.take_ended();
        if (!ended.empty())
            log_cleaner_ = fork_child(-1, [&](int) { remove_empty_logs(spool_, ended); });
    }
    look_at_logs_in(log_cleaner_ > 0 ? Pause(soon) : Pause(now_and_then));
}

} // namespace rexecd
