// What the daemon does with a datagram. One thread, one event loop, and nothing in it that can
// wait: everything that touches the spool, or looks up users, is done by forked runners.
#pragma once

#include "remote/key.h"
#include "remote/protocol.h"
#include "rexecd/datagrams.h"
#include "rexecd/housekeeping.h"
#include "rexecd/nuisance.h"
#include "rexecd/requests.h"
#include "rexecd/runners.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <map>
#include <string>

namespace rexecd {

struct Settings {
    std::string spool; // absolute
    bool allow_root = false;
    long stale_seconds = 24 * 60 * 60;
};

class Server {
  public:
    Server(boost::asio::io_context& io, const Settings& settings, const rfork::remote::Key& key,
           DatagramSocket socket);
    ~Server();

    void start();
    void reap(); // after SIGCHLD

  private:
    void await_datagrams();
    void receive_waiting();
    void receive(std::span<const std::uint8_t> datagram, const Peer& from);
    void start_runner(const rfork::remote::Message& request, const Peer& from);
    void runner_ended(const Runners::Ended& ended);
    void watch(const rfork::image::Id& request, const Outcome& outcome);
    // `is_news`: it has been started just now.
    void finish(const rfork::image::Id& request, bool proved, const Answer& answer,
                bool is_news = false);
    bool may_log(bool proved);
    void drop(const rfork::image::Id& request);
    void send(const rfork::image::Id& request, std::uint64_t nonce, const Answer& answer,
              const Peer& to);
    void ignore_stranger(const Peer& from);
    void refuse_clock(const rfork::remote::Message& message, const Peer& from);

    Settings settings_;
    rfork::remote::Key key_;
    DatagramSocket socket_;
    boost::asio::posix::stream_descriptor readable_; // the same descriptor, for the event loop
    std::array<std::uint8_t, rfork::remote::max_datagram> buffer_;

    Requests requests_;
    Runners runners_;
    Housekeeping housekeeping_;

    // Of requests with a runner: what it was started with; of the caller's latest datagram, which
    // may be anybody's who has the key, only what is needed to answer it.
    struct Pending {
        Job job;
        std::uint64_t nonce = 0;
        Peer caller;
    };
    std::map<rfork::image::Id, Pending, IdOrder> pending_;

    Nuisance strangers_, crowd_, skewed_, unproved_, proved_;
};

} // namespace rexecd
