#include "journey.h"

#include "clock.h"
#include "failure.h"

#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::bench {
namespace {

constexpr int patience_ms = 60'000;

// Open for both directions, so that it is never at its end while the bench lives.
UniqueFd make_fifo(const std::string& path) {
    ::unlink(path.c_str());
    if (::mkfifo(path.c_str(), 0600) != 0)
        fail("cannot make " + path, errno);
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        fail("cannot open " + path, errno);
    return fd;
}

} // namespace

Journey::Journey(const std::string& traveller, const Workplace& workplace, std::uint64_t heap_bytes,
                 const Host& first, const Host& second)
    : orders_(make_fifo(workplace.path("orders"))), reports_(make_fifo(workplace.path("reports"))),
      environment_{"RFORK_SPOOL=" + workplace.spool(), "RFORK_KEY_FILE=" + workplace.key(),
                   "RFORK_TIMEOUT_MS=" + std::to_string(patience_ms / 2)},
      log_(workplace.path("traveller.log")),
      first_({traveller, std::to_string(heap_bytes), workplace.path("orders"),
              workplace.path("reports"), first.address(), second.address()},
             environment_, log_.fd()),
      current_(watch(first_.pid())) {
    await_start();
}

// Only here it is our child, and can end without a report: the loader may not find librfork.
void Journey::await_start() {
    pollfd wanted[] = {{reports_.get(), POLLIN, 0}, {current_.get(), POLLIN, 0}};
    if (::poll(wanted, 2, patience_ms) < 1)
        fail("the traveller does not start within a minute");
    if (!wanted[0].revents)
        fail("the traveller does not start: " + log_.last_line());
    if (report() != "ready")
        fail("the traveller is out of step");
}

// A traveller that reads the end of its orders ends; one that does not is stuck, and killed.
Journey::~Journey() {
    orders_.reset();
    if (!wait_until_ended(current_, 3000))
        ::syscall(SYS_pidfd_send_signal, current_.get(), SIGKILL, nullptr, 0);
}

void Journey::order(const std::string& text) {
    std::string line = text + "\n";
    if (::write(orders_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        fail("cannot give the traveller an order", errno);
}

std::string Journey::report() {
    std::size_t end;
    while ((end = unread_.find('\n')) == std::string::npos) {
        pollfd wanted{reports_.get(), POLLIN, 0};
        int ready = ::poll(&wanted, 1, patience_ms);
        if (ready < 0)
            fail("interrupted");
        if (ready == 0)
            fail("the traveller has not been heard of for a minute");
        char buffer[4096];
        ssize_t n = ::read(reports_.get(), buffer, sizeof buffer);
        if (n < 0)
            fail("cannot read the traveller's reports", errno);
        unread_.append(buffer, static_cast<std::size_t>(n));
    }
    std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 1);
    if (line.starts_with("failed "))
        fail("the hop failed: " + line.substr(7));
    return line;
}

void Journey::await_end(UniqueFd& watched) {
    if (!wait_until_ended(watched, patience_ms))
        fail("a caller whose copy runs does not end");
}

Hop Journey::hop() {
    order("h");
    Hop hop{};
    UniqueFd arrived;
    bool left = false;
    while (!arrived || !left) { // in either order: they are two processes
        std::string line = report();
        int pid;
        std::int64_t before, after;
        if (std::sscanf(line.c_str(), "arrived %d %" SCNd64 " %" SCNd64, &pid, &before, &after) ==
            3) {
            arrived = watch(pid);
            hop.whole = after - before;
        } else if (std::sscanf(line.c_str(), "left %" SCNd64 " %" SCNd64, &hop.fork, &hop.write) ==
                   2) {
            left = true;
        } else {
            fail("the traveller reports nonsense: " + line);
        }
    }
    await_end(current_);
    (void)first_.ended();
    current_ = std::move(arrived);
    return hop;
}

void Journey::freeze(const std::string& image) {
    order("f" + image);
    if (std::string line = report(); line != "frozen")
        fail("the traveller reports nonsense: " + line);
}

std::int64_t Journey::resume(const std::string& image) {
    Process process({image}, environment_, log_.fd());
    std::string line = report();
    std::int64_t resumed;
    if (std::sscanf(line.c_str(), "resumed %" SCNd64, &resumed) != 1)
        fail("the traveller reports nonsense: " + line);
    UniqueFd watched = watch(process.pid());
    await_end(watched);
    return resumed - process.exec_time();
}

} // namespace rfork::bench
