#include "rexecd/runners.h"

#include "rexecd/child.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rexecd {

using rfork::Error;
using rfork::Result;
using rfork::UniqueFd;

namespace {

Error too_busy(std::string_view why) {
    return {EAGAIN,
            "rexecd cannot run another image now: " + std::string(why) + ": try again later"};
}

} // namespace

std::size_t Runners::count_proved(std::optional<uid_t> user) const {
    return std::size_t(std::count_if(runners_.begin(), runners_.end(), [&](const auto& each) {
        return each.second->proved && (!user || each.second->user == *user);
    }));
}

bool Runners::has_room(in_addr_t source) const {
    std::size_t all = 0, from_source = 0;
    for (const auto& [request, runner] : runners_) {
        if (runner->proved)
            continue;
        ++all;
        from_source += runner->source == source;
    }
    return all < limits_.unproved && from_source < limits_.unproved_share;
}

Runners::Started Runners::start(const Key& request, const Job& job, in_addr_t source, Error& why) {
    if (!has_room(source)) {
        end_stopped();
        return Started::not_now;
    }
    if (count_proved(job.user) >= limits_.of_a_user)
        return why = too_busy(std::to_string(limits_.of_a_user) +
                              " of this user's are being started already"),
               Started::refused;
    if (count_proved(std::nullopt) >= limits_.proved)
        return why = too_busy(std::to_string(limits_.proved) + " are being started already"),
               Started::refused;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return why = too_busy(rfork::errno_text(errno)), Started::refused;
    UniqueFd read_end(ends[0]), write_end(ends[1]);

    auto runner = std::make_unique<Runner>(io_);
    boost::system::error_code error;
    runner->pipe.assign(read_end.get(), error);
    if (error)
        return why = too_busy(rfork::errno_text(error.value())), Started::refused;
    read_end.release();
    runner->user = job.user;
    runner->source = source;

    const pid_t child = fork_child(write_end.get(), [&](int report) { work_(job, report); });
    if (child < 0)
        return why = too_busy(rfork::errno_text(errno)), Started::refused;
    runner->process.reset(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    if (!runner->process) { // nothing could end it, and its user can stop it
        const int why_not = errno;
        ::kill(child, SIGKILL);
        return why = too_busy(rfork::errno_text(why_not)), Started::refused;
    }
    Runner& started = *runner;
    runners_.emplace(request, std::move(runner));
    end_after(started, limits_.to_prove);
    listen(request, started);
    return Started::yes;
}

// A runner can be stopped by the user whom it has become, and nobody else would do so before it has
// proved him. When room is short it does not keep others waiting.
void Runners::end_stopped() {
    for (const auto& [request, runner] : runners_) {
        siginfo_t stopped{};
        if (!runner->proved &&
            ::waitid(P_PIDFD, static_cast<id_t>(runner->process.get()), &stopped,
                     WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
            stopped.si_pid != 0)
            ::syscall(SYS_pidfd_send_signal, runner->process.get(), SIGKILL, nullptr, 0);
    }
}

void Runners::listen(const Key& request, Runner& runner) {
    boost::asio::async_read(runner.pipe,
                            boost::asio::buffer(&runner.outcome, sizeof(runner.outcome)),
                            [this, request](boost::system::error_code failed, std::size_t) {
                                heard(request, !failed);
                            });
}

// Its end comes to us through the pipe.
void Runners::end_after(Runner& runner, std::chrono::milliseconds patience) {
    runner.timer.expires_after(patience);
    runner.timer.async_wait([process = runner.process.get()](boost::system::error_code stopped) {
        if (!stopped)
            ::syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0);
    });
}

void Runners::heard(const Key& request, bool complete) {
    auto found = runners_.find(request);
    Runner& runner = *found->second;
    if (complete && runner.outcome.kind == Outcome::proved) {
        runner.proved = true;
        end_after(runner, limits_.to_run);
        return listen(request, runner);
    }
    Ended ended{request, runner.proved, std::nullopt};
    if (complete)
        ended.outcome = runner.outcome;
    runners_.erase(found);
    done_(ended);
}

} // namespace rexecd
