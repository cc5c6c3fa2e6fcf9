// rexecd: runs the images of processes that call rfork() on other hosts. rexecd(8) tells how to use
// it; docs/protocol.md how a caller and it agree that exactly one copy runs.
#include "base/command_line.h"
#include "base/unique_fd.h"
#include "remote/address.h"
#include "remote/key.h"
#include "remote/protocol.h"
#include "rexecd/child.h"
#include "rexecd/datagrams.h"
#include "rexecd/log.h"
#include "rexecd/server.h"
#include "rexecd/spool_check.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

using namespace rexecd;
using rfork::Error;
using rfork::Result;
using rfork::UniqueFd;

constexpr int spool_patience_ms = 5000;
constexpr long longest_stale_age = 10L * 365 * 24 * 60 * 60;

struct Options {
    std::string listen;
    std::string key_file;
    Settings settings;
};

// The working directory of runners is not ours for ever, and a relative --spool is meant from here.
std::string absolute(const std::string& path) {
    char here[PATH_MAX];
    if (path.starts_with('/') || !::getcwd(here, sizeof(here)))
        return path;
    return std::string(here) + "/" + path;
}

// The spool is looked at by a child, as always. One that hangs may come back: that is no reason not
// to start.
Result<void> check_spool_patiently(const std::string& path, bool allow_root) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return rfork::system_error(errno, "cannot make a pipe");
    UniqueFd read_end(ends[0]), write_end(ends[1]);
    pid_t child = fork_child(write_end.get(), [&](int report) {
        std::string trouble = check_spool(path, allow_root);
        [[maybe_unused]] ssize_t written = ::write(report, trouble.data(), trouble.size());
    });
    if (child < 0)
        return rfork::system_error(errno, "cannot fork");
    write_end.reset();
    pollfd ready{read_end.get(), POLLIN, 0};
    if (::poll(&ready, 1, spool_patience_ms) <= 0) {
        log(Level::warning, "the spool " + path + " does not answer: is its server down?");
        return {};
    }
    char trouble[4096];
    ssize_t size = ::read(read_end.get(), trouble, sizeof(trouble));
    wait_for(child);
    if (size > 0)
        return Error{ENOENT, std::string(trouble, static_cast<std::size_t>(size))};
    return {};
}

Result<DatagramSocket> open_socket(const std::string& listen) {
    auto address = rfork::remote::parse_address(listen, rfork::remote::default_port,
                                                rfork::remote::PortZero::allowed);
    if (!address)
        return address.error();
    Result<sockaddr_in> resolved = rfork::remote::resolve(*address);
    if (!resolved)
        return resolved.error();
    return DatagramSocket::bound_to(*resolved);
}

// A handler that throws (no memory) loses its own work, not the daemon.
void run(boost::asio::io_context& io) {
    for (;;) {
        try {
            io.run();
            return;
        } catch (const std::exception& error) {
            log(Level::error, std::string("went on after a failure: ") + error.what());
        }
    }
}

class Signals {
  public:
    Signals(boost::asio::io_context& io, Server& server)
        : io_(io), server_(server), end_(io, SIGTERM, SIGINT), child_(io, SIGCHLD) {
        end_.async_wait([this](boost::system::error_code error, int) {
            if (!error)
                io_.stop();
        });
        await_child();
    }

  private:
    void await_child() {
        child_.async_wait([this](boost::system::error_code error, int) {
            if (error)
                return;
            await_child();
            server_.reap();
        });
    }

    boost::asio::io_context& io_;
    Server& server_;
    boost::asio::signal_set end_, child_;
};

std::string whose_images(bool allow_root) {
    const uid_t user = ::geteuid();
    if (user == 0)
        return allow_root ? "of all users and root" : "of all users but root";
    const passwd* entry = ::getpwuid(user);
    return entry ? std::string("of ") + entry->pw_name : "of user " + std::to_string(user);
}

Result<void> serve(const Options& options) {
    Result<rfork::remote::Key> key = rfork::remote::read_key(options.key_file);
    if (!key)
        return key.error();
    Result<DatagramSocket> socket = open_socket(options.listen);
    if (!socket)
        return socket.error();
    if (Result<void> spool =
            check_spool_patiently(options.settings.spool, options.settings.allow_root);
        !spool)
        return spool;
    // Programs outlive their runners, and then become our children, to be waited for.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return rfork::system_error(errno, "cannot become a subreaper");

    const std::string where = rfork::remote::address_text(socket->address());
    boost::asio::io_context io(1);
    Server server(io, options.settings, *key, std::move(*socket));
    Signals signals(io, server);
    server.start();
    log(Level::notice, "listening on " + where + ", spool " + options.settings.spool + ", images " +
                           whose_images(options.settings.allow_root));
    run(io);
    return {};
}

} // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    Options options;
    CLI::App app("Runs the images of processes that rfork() here from other hosts.", "rexecd");
    app.set_version_flag("--version", "rexecd " RFORK_VERSION);
    app.add_option("--listen", options.listen, "Address and UDP port to listen on")
        ->type_name("ADDR[:PORT]")
        ->required();
    app.add_option("--spool", options.settings.spool, "Directory that the hosts share")
        ->type_name("DIR")
        ->required();
    app.add_option("--key", options.key_file, "Key that the hosts share; rfork keygen makes one")
        ->type_name("FILE")
        ->required();
    app.add_flag("--allow-root", options.settings.allow_root, "Run root's images, too");
    app.add_option("--stale-age", options.settings.stale_seconds,
                   "Seconds after which abandoned files go from the spool")
        ->check(CLI::Range(0L, longest_stale_age))
        ->type_name("SECONDS")
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return rfork::answer(app, error);
    }
    options.settings.spool = absolute(options.settings.spool);

    if (Result<void> served = serve(options); !served) {
        log(Level::error, served.error().sentence);
        return 1;
    }
    return 0;
}
