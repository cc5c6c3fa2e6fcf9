// The runners at work: forked, listened to, and counted.
#pragma once

#include "base/result.h"
#include "rexecd/requests.h"
#include "rexecd/runner.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace rexecd {

class Runners {
  public:
    static constexpr std::size_t limit = 256;

    // Called once for every runner; without an outcome when it died before it could report.
    using Done = std::function<void(const rfork::image::Id& request, std::optional<Outcome>)>;

    Runners(boost::asio::io_context& io, Done done) : io_(io), done_(std::move(done)) {}

    // EAGAIN and a sentence when there are too many, or this host cannot fork another.
    rfork::Result<void> start(const rfork::image::Id& request, const Job& job);

  private:
    struct Runner {
        explicit Runner(boost::asio::io_context& io) : pipe(io) {}
        boost::asio::posix::stream_descriptor pipe;
        Outcome outcome{};
    };

    void reported(const rfork::image::Id& request, bool complete);

    boost::asio::io_context& io_;
    Done done_;
    std::map<rfork::image::Id, std::unique_ptr<Runner>, IdOrder> runners_;
};

} // namespace rexecd
