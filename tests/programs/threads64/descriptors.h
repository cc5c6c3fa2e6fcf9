// Threads blocked in calls on descriptors.
#ifndef THREADS64_DESCRIPTORS_H
#define THREADS64_DESCRIPTORS_H

#include "worker.h"

#include <arpa/inet.h>
#include <functional>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

namespace {

struct Pipe {
    Pipe() { CHECK(pipe2(ends, O_CLOEXEC) == 0); }
    void put(int value) const { CHECK(write(ends[1], &value, sizeof value) == sizeof value); }
    int get() const {
        int value = -1;
        CHECK(read(ends[0], &value, sizeof value) == sizeof value);
        return value;
    }
    int ends[2];
};

// Waits in some call until its pipe can be read.
class PipeWaiter : public Worker {
  public:
    PipeWaiter(const char *kind, long call, std::function<void(int)> wait)
        : Worker(kind, call), wait_(wait) {}

  protected:
    void block() override {
        wait_(pipe_.ends[0]);
        CHECK(errno == canary());
        CHECK(pipe_.get() == ++received_);
    }
    void wake() override { pipe_.put(++sent_); }

  private:
    const std::function<void(int)> wait_;
    Pipe pipe_;
    int sent_ = 0, received_ = 0;
};

void wait_in_poll(int fd, int timeout) {
    pollfd set[]{{fd, POLLIN, 0}, {-1, POLLIN, 0}};
    CHECK(poll(set, 2, timeout) == 1 && set[0].revents == POLLIN);
}

// With SIGHUP blocked while it waits, and what is blocked otherwise not.
void wait_in_ppoll(int fd) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    const timespec an_hour{3600, 0};
    pollfd set{fd, POLLIN, 0};
    CHECK(ppoll(&set, 1, &an_hour, &mask) == 1 && set.revents == POLLIN);
}

void wait_in_select(int fd) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    timeval an_hour{3600, 0};
    CHECK(select(fd + 1, &set, nullptr, nullptr, &an_hour) == 1 && FD_ISSET(fd, &set));
}

void wait_in_pselect(int fd) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    sigset_t mask;
    sigfillset(&mask);
    CHECK(pselect(fd + 1, &set, nullptr, nullptr, nullptr, &mask) == 1 && FD_ISSET(fd, &set));
}

// In an epoll set of its own, among descriptors that never become ready.
class EpollWaiter : public Worker {
  public:
    EpollWaiter(const char *kind, std::uint32_t flags, int timeout)
        : Worker(kind, SYS_epoll_wait), timeout_(timeout), set_(epoll_create1(EPOLL_CLOEXEC)),
          event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        CHECK(set_ >= 0 && event_ >= 0);
        add(never_.ends[0], EPOLLIN, 1);
        add(event_, EPOLLIN | flags, cookie);
    }

  protected:
    void block() override {
        epoll_event events[4];
        CHECK(epoll_wait(set_, events, 4, timeout_) == 1);
        CHECK(events[0].events == EPOLLIN && events[0].data.u64 == cookie);
        CHECK(errno == canary());
        eventfd_t value = 0;
        CHECK(eventfd_read(event_, &value) == 0 && value == 1);
    }
    void wake() override { CHECK(eventfd_write(event_, 1) == 0); }

  private:
    static constexpr std::uint64_t cookie = 0x0123456789abcdef;
    void add(int fd, std::uint32_t events, std::uint64_t data) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        CHECK(epoll_ctl(set_, EPOLL_CTL_ADD, fd, &event) == 0);
    }
    const int timeout_, set_, event_;
    const Pipe never_;
};

class EpollOnTimer : public Worker {
  public:
    EpollOnTimer()
        : Worker("epoll-timer", SYS_epoll_wait), set_(epoll_create1(0)),
          timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) {
        epoll_event event{};
        event.events = EPOLLIN;
        CHECK(set_ >= 0 && timer_ >= 0 && epoll_ctl(set_, EPOLL_CTL_ADD, timer_, &event) == 0);
    }

  protected:
    void block() override {
        epoll_event event;
        CHECK(epoll_wait(set_, &event, 1, -1) == 1 && event.events == EPOLLIN);
        CHECK(errno == canary());
        std::uint64_t expirations = 0;
        CHECK(read(timer_, &expirations, 8) == 8 && expirations == 1);
    }
    void wake() override {
        const itimerspec soon{{0, 0}, {0, 5 * MILLISECOND}};
        CHECK(timerfd_settime(timer_, 0, &soon, nullptr) == 0);
    }

  private:
    const int set_, timer_;
};

class PipeReader : public Worker {
  public:
    PipeReader() : Worker("read", SYS_read) {}

  protected:
    void block() override { CHECK(pipe_.get() == ++received_); }
    void wake() override { pipe_.put(++sent_); }

  private:
    Pipe pipe_;
    int sent_ = 0, received_ = 0;
};

// Into a pipe that is full until somebody reads from it.
class PipeWriter : public Worker {
  public:
    PipeWriter() : Worker("write", SYS_write), page_(std::size_t(sysconf(_SC_PAGESIZE))) {
        const int capacity = fcntl(pipe_.ends[1], F_SETPIPE_SZ, int(2 * page_.size()));
        CHECK(capacity == int(2 * page_.size()));
        write_page();
        write_page();
    }

  protected:
    void block() override { write_page(); }
    void wake() override {
        std::vector<unsigned char> got(page_.size());
        CHECK(read(pipe_.ends[0], got.data(), got.size()) == ssize_t(got.size()));
        CHECK(intact(got.data(), got.size(), read_++));
    }

  private:
    void write_page() {
        fill(page_.data(), page_.size(), written_++);
        CHECK(write(pipe_.ends[1], page_.data(), page_.size()) == ssize_t(page_.size()));
    }
    Pipe pipe_;
    std::vector<unsigned char> page_;
    std::uint64_t written_ = 0, read_ = 0;
};

class EventReader : public Worker {
  public:
    EventReader() : Worker("eventfd", SYS_read), fd_(eventfd(0, EFD_SEMAPHORE)) { CHECK(fd_ >= 0); }

  protected:
    void block() override {
        eventfd_t value = 0;
        CHECK(eventfd_read(fd_, &value) == 0 && value == 1);
    }
    void wake() override { CHECK(eventfd_write(fd_, 1) == 0); }

  private:
    const int fd_;
};

class TimerReader : public Worker {
  public:
    TimerReader() : Worker("timerfd", SYS_read), fd_(timerfd_create(CLOCK_REALTIME, 0)) {
        CHECK(fd_ >= 0);
    }

  protected:
    void block() override {
        std::uint64_t expirations = 0;
        CHECK(read(fd_, &expirations, 8) == 8 && expirations == 1);
        CHECK(now(CLOCK_REALTIME) >= due_);
    }
    void wake() override {
        due_ = now(CLOCK_REALTIME) + 5 * MILLISECOND;
        const itimerspec then{{0, 0}, timespec_of(due_)};
        CHECK(timerfd_settime(fd_, TFD_TIMER_ABSTIME, &then, nullptr) == 0);
    }

  private:
    const int fd_;
    std::atomic<std::int64_t> due_ = 0;
};

// A signalfd shows its reader the signals sent to that thread.
class SignalReader : public Worker {
  public:
    SignalReader() : Worker("signalfd", SYS_read) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, readable());
        fd_ = signalfd(-1, &set, SFD_CLOEXEC);
        CHECK(fd_ >= 0);
    }

  protected:
    void block() override {
        signalfd_siginfo info;
        CHECK(read(fd_, &info, sizeof info) == sizeof info);
        CHECK(int(info.ssi_signo) == readable() && info.ssi_int == ++received_);
        CHECK(info.ssi_code == SI_QUEUE && pid_t(info.ssi_pid) == getpid());
    }
    void wake() override {
        CHECK(pthread_sigqueue(handle(), readable(), {.sival_int = ++sent_}) == 0);
    }

  private:
    int fd_, sent_ = 0, received_ = 0;
};

// Copies that run at once share the port, and can get each other's connections: one counts for
// whoever expects it, and the main thread tries until one has come to its own thread.
class Acceptor : public Worker {
  public:
    Acceptor()
        : Worker("accept", SYS_accept), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int yes = 1;
        CHECK(setsockopt(listener_, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0);
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(0x7f000000u | unsigned(getpid() % 0xfffff + 256));
        socklen_t size = sizeof address_;
        CHECK(bind(listener_, reinterpret_cast<sockaddr *>(&address_), size) == 0);
        CHECK(listen(listener_, 50) == 0);
        CHECK(getsockname(listener_, reinterpret_cast<sockaddr *>(&address_), &size) == 0);
    }
    // A connection is more than a listening socket.
    bool may_be_frozen_awake() const override { return false; }

  protected:
    void block() override {
        do {
            const int connection = accept(listener_, nullptr, nullptr);
            CHECK(connection >= 0);
            close(connection);
        } while (!requested());
        CHECK(errno == canary());
    }
    void wake() override { connect_once(); }
    void settle() override {
        for (int moments = 1; requested(); moments++) {
            CHECK(moments < PATIENCE * 1000);
            if (moments % 100 == 0)
                connect_once();
            sleep_a_moment();
        }
        for (int fd : connections_)
            close(fd);
        connections_.clear();
    }

  private:
    void connect_once() {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const linger no_trace{1, 0};
        CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_trace, sizeof no_trace) == 0);
        if (connect(fd, reinterpret_cast<sockaddr *>(&address_), sizeof address_) == 0) {
            connections_.push_back(fd);
        } else { // by the listener of a copy that has just ended
            CHECK(errno == ECONNREFUSED || errno == ECONNRESET);
            close(fd);
        }
    }
    const int listener_;
    sockaddr_in address_{};
    std::vector<int> connections_;
};

// Two of them exchange numbers over pipes as fast as they can.
class Pinger : public Worker {
  public:
    Pinger(const Pipe &in, const Pipe &out, bool first)
        : Worker("ping", computes), in_(in), out_(out), first_(first) {}

  protected:
    void block() override {
        do {
            if (first_)
                out_.put(++number_of_exchange_);
            int got = 0;
            const ssize_t size = read(in_.ends[0], &got, sizeof got);
            if (size == 0) { // the other one has ended
                CHECK(last());
                return;
            }
            CHECK(size == sizeof got);
            CHECK(got == (first_ ? number_of_exchange_ : number_of_exchange_ + 1));
            if (!first_)
                out_.put(++number_of_exchange_);
        } while (!requested());
        CHECK(errno == canary());
        if (last())
            close(out_.ends[1]);
    }

  private:
    const Pipe in_, out_;
    const bool first_;
    int number_of_exchange_ = 0;
};

} // namespace

#endif
