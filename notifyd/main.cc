// notifyd: prints what programs report(3) from wherever they are, a line a datagram. Anybody may
// send; nothing is answered, and nothing a datagram holds can do more than fill a line.
#include "base/clock.h"
#include "base/command_line.h"
#include "base/daemon_log.h"
#include "notifyd/line.h"
#include "notifyd/line_log.h"
#include "notifyd/terminal_line.h"
#include "remote/address.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

using boost::asio::ip::udp;
using boost::system::error_code;
using namespace notifyd;
using rfork::Error;
using rfork::Result;

using rfork::Level;

void say(Level level, const std::string& sentence) {
    rfork::log("notifyd", level, sentence);
}

bool colours_are_wanted() {
    const char* terminal = std::getenv("TERM");
    const char* no_colour = std::getenv("NO_COLOR"); // no-color.org
    return terminal && std::strcmp(terminal, "dumb") != 0 && !(no_colour && *no_colour);
}

class Receiver {
  public:
    Receiver(boost::asio::io_context& io, LineLog& log)
        : socket_(io), pause_(io), log_(log), on_terminal_(log.is_terminal()) {}

    Result<void> listen(const sockaddr_in& address) {
        udp::endpoint endpoint;
        std::memcpy(endpoint.data(), &address, sizeof(address));
        endpoint.resize(sizeof(address));
        error_code error;
        socket_.open(udp::v4(), error);
        if (!error)
            socket_.bind(endpoint, error);
        if (error)
            return rfork::remote::cannot_listen(address, error.value());
        return {};
    }

    std::string where() const {
        udp::endpoint endpoint = socket_.local_endpoint();
        return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
    }

    void receive() {
        socket_.async_receive_from(boost::asio::buffer(buffer_), from_,
                                   [this](error_code error, std::size_t size) {
                                       if (error == boost::asio::error::operation_aborted)
                                           return;
                                       if (error)
                                           return receive_later();
                                       write({buffer_.data(), size});
                                       receive();
                                   });
    }

  private:
    void write(std::string_view message) {
        const timespec now = rfork::to_timespec(rfork::libc_clock_ns(CLOCK_REALTIME));
        const std::string origin = from_.address().to_string();
        log_.write(on_terminal_ ? terminal_lines_.make(now, origin, message)
                                : make_line(now, origin, message));
    }

    // The kernel is short of something; an error that stays must not keep a processor busy.
    void receive_later() {
        pause_.expires_after(std::chrono::milliseconds(100));
        pause_.async_wait([this](error_code error) {
            if (!error)
                receive();
        });
    }

    udp::socket socket_;
    boost::asio::steady_timer pause_;
    LineLog& log_;
    bool on_terminal_;
    TerminalLines terminal_lines_{colours_are_wanted()};
    udp::endpoint from_;
    std::array<char, max_message + 2>
        buffer_; // a newline, and a byte that shows that there is more
};

class Signals {
  public:
    Signals(boost::asio::io_context& io, LineLog& log)
        : io_(io), log_(log), end_(io, SIGTERM, SIGINT), reopen_(io, SIGHUP) {
        end_.async_wait([this](error_code error, int) {
            if (!error)
                io_.stop();
        });
        await_reopen();
    }

  private:
    void await_reopen() {
        reopen_.async_wait([this](error_code error, int) {
            if (error)
                return;
            if (Result<void> opened = log_.open(); !opened)
                say(Level::error, opened.error().sentence + ": the old one stays in use");
            await_reopen();
        });
    }

    boost::asio::io_context& io_;
    LineLog& log_;
    boost::asio::signal_set end_, reopen_;
};

// A handler that throws (no memory) loses its own line, not the daemon.
void run(boost::asio::io_context& io, Receiver& receiver) {
    for (;;) {
        try {
            io.run();
            return;
        } catch (const std::exception& error) {
            say(Level::error, std::string("went on after a failure: ") + error.what());
            receiver.receive();
        }
    }
}

Result<void> serve(const std::string& listen, const std::string& log_file) {
    auto address = rfork::remote::parse_address(listen, rfork::remote::monitor_port,
                                                rfork::remote::PortZero::allowed);
    if (!address)
        return address.error();
    Result<sockaddr_in> resolved = rfork::remote::resolve(*address);
    if (!resolved)
        return resolved.error();
    LineLog log(log_file);
    if (Result<void> opened = log.open(); !opened)
        return opened;

    boost::asio::io_context io(1);
    Receiver receiver(io, log);
    if (Result<void> listening = receiver.listen(*resolved); !listening)
        return listening;
    Signals signals(io, log);
    receiver.receive();
    say(Level::notice, "listening on " + receiver.where() + ", log " +
                           (log_file.empty() ? "to standard output" : log_file));
    run(io, receiver);
    return {};
}

} // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    std::string listen, log_file;
    CLI::App app("Prints what programs report, one line a message.", "notifyd");
    app.set_version_flag("--version", "notifyd " RFORK_VERSION);
    app.add_option("--listen", listen, "Address and UDP port to listen on")
        ->type_name("ADDR[:PORT]")
        ->required();
    app.add_option("--log", log_file, "File to append to, instead of standard output")
        ->type_name("FILE");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return rfork::answer(app, error);
    }
    if (Result<void> served = serve(listen, log_file); !served) {
        say(Level::error, served.error().sentence);
        return 1;
    }
    return 0;
}
