#include "rexecd/runners.h"

#include "base/unique_fd.h"
#include "rexecd/child.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <cerrno>
#include <fcntl.h>
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

Result<void> Runners::start(const rfork::image::Id& request, const Job& job) {
    if (runners_.size() >= limit)
        return too_busy(std::to_string(limit) + " are being started already");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return too_busy(rfork::errno_text(errno));
    UniqueFd read_end(ends[0]), write_end(ends[1]);

    auto runner = std::make_unique<Runner>(io_);
    boost::system::error_code error;
    runner->pipe.assign(read_end.get(), error);
    if (error)
        return too_busy(rfork::errno_text(error.value()));
    read_end.release();

    if (fork_child(write_end.get(), [&](int report) { run_job(job, report); }) < 0)
        return too_busy(rfork::errno_text(errno));
    Runner& started = *runner;
    runners_.emplace(request, std::move(runner));
    boost::asio::async_read(started.pipe,
                            boost::asio::buffer(&started.outcome, sizeof(started.outcome)),
                            [this, request](boost::system::error_code failed, std::size_t) {
                                reported(request, !failed);
                            });
    return {};
}

void Runners::reported(const rfork::image::Id& request, bool complete) {
    auto found = runners_.find(request);
    std::optional<Outcome> outcome;
    if (complete)
        outcome = found->second->outcome;
    runners_.erase(found);
    done_(request, outcome);
}

} // namespace rexecd
