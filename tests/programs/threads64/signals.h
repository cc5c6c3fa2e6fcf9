// Threads that wait for time to pass, or for signals.
#ifndef THREADS64_SIGNALS_H
#define THREADS64_SIGNALS_H

#include "worker.h"

#include <functional>

namespace {

// Again and again for a short while, and never too short.
class ShortSleeper : public Worker {
  public:
    ShortSleeper() : Worker("short-sleep", computes) {}

  protected:
    void block() override {
        do {
            const timespec duration{0, 20 * MILLISECOND};
            const std::int64_t begun = now(CLOCK_MONOTONIC);
            CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, nullptr) == 0);
            CHECK(now(CLOCK_MONOTONIC) >= begun + 20 * MILLISECOND);
        } while (!requested());
    }
};

class RegularSleeper : public Worker {
  public:
    RegularSleeper() : Worker("regular-sleep", computes) {}

  protected:
    void block() override {
        std::int64_t next = now(CLOCK_MONOTONIC);
        do {
            next += 20 * MILLISECOND;
            const timespec then = timespec_of(next);
            CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, nullptr) == 0);
            CHECK(now(CLOCK_MONOTONIC) >= next);
        } while (!requested());
    }
};

thread_local volatile sig_atomic_t interruptions = 0;

void on_interruption(int) {
    interruptions = interruptions + 1;
}

// Waits in a call that only a signal ends: then, and only then, it is interrupted.
class Interrupted : public Worker {
  public:
    Interrupted(const char *kind, long call, bool blocks_signal, std::function<void()> wait)
        : Worker(kind, call), blocks_signal_(blocks_signal), wait_(wait) {}
    // What blocks no signal may be interrupted just before it begins to wait.
    bool may_be_frozen_awake() const override { return blocks_signal_; }

  protected:
    void prepare() override {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, interrupting());
        CHECK(pthread_sigmask(blocks_signal_ ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr) == 0);
    }
    void block() override {
        wait_();
        CHECK(requested() && interruptions == ++expected_);
        errno = canary();
    }
    void wake() override {
        if (!blocks_signal_)
            await_sleep();
        CHECK(pthread_kill(handle(), interrupting()) == 0);
    }

  private:
    const bool blocks_signal_;
    const std::function<void()> wait_;
    int expected_ = 0;
};

void sleep_an_hour() {
    const timespec an_hour{3600, 0};
    timespec rest{-1, -1};
    CHECK(nanosleep(&an_hour, &rest) == -1 && errno == EINTR);
    CHECK(rest.tv_sec >= 0 && rest.tv_sec <= 3600 && rest.tv_nsec >= 0);
}

void sleep_until_in_an_hour() {
    const timespec then = after(CLOCK_REALTIME, hour);
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &then, nullptr) == EINTR);
}

void wait_in_pause() {
    CHECK(pause() == -1 && errno == EINTR);
}

void wait_in_sigsuspend() {
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, nullptr, &mask) == 0);
    sigdelset(&mask, interrupting());
    CHECK(sigsuspend(&mask) == -1 && errno == EINTR);
}

class SignalWaiter : public Worker {
  public:
    explicit SignalWaiter(bool for_ever)
        : Worker("sigtimedwait", SYS_rt_sigtimedwait), for_ever_(for_ever) {}

  protected:
    void block() override {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, awaited());
        siginfo_t info;
        const timespec an_hour{3600, 0};
        CHECK((for_ever_ ? sigwaitinfo(&set, &info) : sigtimedwait(&set, &info, &an_hour)) ==
              awaited());
        CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == ++received_);
        CHECK(info.si_pid == getpid() && info.si_uid == getuid());
    }
    void wake() override {
        CHECK(pthread_sigqueue(handle(), awaited(), {.sival_int = ++sent_}) == 0);
    }

  private:
    const bool for_ever_;
    int sent_ = 0, received_ = 0;
};

} // namespace

#endif
