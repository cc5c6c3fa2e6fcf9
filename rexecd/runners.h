// The runners at work: forked, listened to, counted, and ended when their time is over.
//
// Whoever has the key can ask in anybody's name, and a runner belongs to the user it has become,
// who may stop it. So nobody can use up what others need: until a runner has proved its user it
// counts among few, fairly by where the request came from and for half a minute at most, or less if
// it is stopped and room is short; after that it counts for the proved user alone, who has a share.
// A runner that is killed here proves nothing: the ticket decides.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "rexecd/requests.h"
#include "rexecd/runner.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace rexecd {

class Runners {
  public:
    struct Limits {
        std::size_t proved = 1024, of_a_user = 64;
        std::size_t unproved = 256, unproved_share = 16; // from one host
        std::chrono::milliseconds to_prove = std::chrono::seconds(30);
        std::chrono::milliseconds to_run = std::chrono::minutes(12); // a runner's own are ten
    };
    using Work = std::function<void(const Job& job, int report)>; // in the child

    // Called once for every runner; without an outcome when it died before it could report.
    // `proved` says whether its user was.
    struct Ended {
        rfork::image::Id request;
        bool proved;
        std::optional<Outcome> outcome;
    };
    using Done = std::function<void(const Ended&)>;

    Runners(boost::asio::io_context& io, Done done)
        : Runners(io, std::move(done), run_job, Limits()) {}
    Runners(boost::asio::io_context& io, Done done, Work work, Limits limits)
        : io_(io), done_(std::move(done)), work_(std::move(work)), limits_(limits) {}

    enum class Started {
        yes,
        not_now, // too many are not proved yet: silence, and the caller asks again
        refused, // with a sentence in `why`
    };
    Started start(const rfork::image::Id& request, const Job& job, in_addr_t source,
                  rfork::Error& why);

  private:
    struct Runner {
        explicit Runner(boost::asio::io_context& io) : pipe(io), timer(io) {}
        boost::asio::posix::stream_descriptor pipe;
        boost::asio::steady_timer timer;
        rfork::UniqueFd process; // a pidfd: the number may be another's by the time it is killed
        uid_t user = 0;
        in_addr_t source = 0;
        bool proved = false;
        Outcome outcome{};
    };
    using Key = rfork::image::Id;

    bool has_room(in_addr_t source) const;
    std::size_t count_proved(std::optional<uid_t> user) const;
    void end_stopped();
    void listen(const Key& request, Runner& runner);
    void end_after(Runner& runner, std::chrono::milliseconds patience);
    void heard(const Key& request, bool complete);

    boost::asio::io_context& io_;
    Done done_;
    Work work_;
    Limits limits_;
    std::map<Key, std::unique_ptr<Runner>, IdOrder> runners_;
};

} // namespace rexecd
