#include "format/records/pending_signal.h"
#include "process/own_posix_timers.h"
#include "process/posix_timers.h"
#include "process/self.h"
#include "process/timers_and_signals.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <ctime>

using namespace rfork;
using namespace rfork::capture;

namespace {

PendingSignal expiry_of(const PosixTimer& timer, int code = SI_TIMER) {
    kinds::SignalInfo info{};
    info.number = timer.signal;
    info.code = code;
    info.timer = timer.id;
    info.value = timer.value;
    PendingSignal signal{0, {}};
    std::memcpy(signal.info.data(), &info, sizeof info);
    return signal;
}

PosixTimer some_timer(std::uint64_t interval, std::uint64_t remaining) {
    PosixTimer timer;
    timer.id = 5;
    timer.signal = SIGUSR1;
    timer.value = 0x123456789abcdef;
    timer.interval = interval;
    timer.remaining = remaining;
    return timer;
}

// As they are when the signal was read `window` after the timer had been asked.
OwnFacts facts_of(const PosixTimer& timer, std::uint64_t window) {
    OwnFacts facts;
    facts.posix_timers = std::vector<PosixTimer>{timer};
    facts.pending = {expiry_of(timer)};
    facts.kernel.timers_asked = 1000000;
    facts.pending_read = 1000000 + window;
    advance_timers(facts.pending_read, facts.pending, facts.kernel, *facts.posix_timers);
    return facts;
}

} // namespace

TEST_CASE("the kernel's list of timers is understood, in ascending order") {
    const auto timers = parse_posix_timers("ID: 30\n"
                                           "signal: 10/00007fff12345678\n"
                                           "notify: thread/pid.77\n"
                                           "ClockID: -6\n"
                                           "ID: 2\n"
                                           "signal: 0/0000000000000000\n"
                                           "notify: none/pid.77\n"
                                           "ClockID: 0\n"
                                           "ID: 1\n"
                                           "signal: 64/ffffffffffffffff\n"
                                           "notify: signal/tid.78\n"
                                           "ClockID: 7\n");
    REQUIRE(timers);
    REQUIRE(timers->size() == 3);
    const PosixTimer &first = (*timers)[0], &second = (*timers)[1], &third = (*timers)[2];
    CHECK(first.id == 1);
    CHECK(first.signal == 64);
    CHECK(first.value == ~std::uint64_t(0));
    CHECK(first.notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID));
    CHECK(first.target == 78);
    CHECK(first.clock == CLOCK_BOOTTIME);
    CHECK(second.id == 2);
    CHECK(second.notify == SIGEV_NONE);
    CHECK(third.id == 30);
    CHECK(third.notify == SIGEV_THREAD);
    CHECK(third.clock == -6);
    CHECK(third.value == 0x7fff12345678);
}

TEST_CASE("a list of timers in another form is refused") {
    CHECK(parse_posix_timers("")->empty());
    for (const char* text : {"ID: 1\n", "ID: x\n", "signal: 1/0\n",
                             "ID: 1\nsignal: 10/0\nnotify: pigeon/pid.1\nClockID: 0\n",
                             "ID: 1\nsignal: 10/0\nnotify: signal/pid.1\nClockID: 0\nmore: 1\n"})
        CHECK_FALSE(parse_posix_timers(text));
}

TEST_CASE("the calling process's timers are found, with their times") {
    timer_t timer;
    sigevent event{};
    event.sigev_notify = SIGEV_NONE;
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    const itimerspec times = {{7, 5}, {1000, 0}};
    REQUIRE(timer_settime(timer, 0, &times, nullptr) == 0);
    const auto timers = own_posix_timers();
    timer_delete(timer);
    REQUIRE(timers);
    REQUIRE(timers->size() == 1);
    CHECK(timers->front().interval == 7000000005);
    CHECK(timers->front().remaining <= 1000000000000);
    CHECK(timers->front().remaining > 900000000000);
    CHECK(own_posix_timers()->empty());
}

TEST_CASE("a timer waits for its own signal, unless it was set again since") {
    const PosixTimer expired = some_timer(0, 0), interval = some_timer(1000, 400);
    CHECK(waits_for(expired, expiry_of(expired)));
    CHECK(waits_for(interval, expiry_of(interval)));
    CHECK_FALSE(waits_for(expired, expiry_of(expired, SI_QUEUE)));
    PosixTimer other = expired;
    other.id = 6;
    CHECK_FALSE(waits_for(expired, expiry_of(other)));
    CHECK_FALSE(waits_for(some_timer(0, 1), expiry_of(expired)));
    CHECK_FALSE(waits_for(some_timer(1000, 1001), expiry_of(interval)));
}

TEST_CASE("a timer that ran out before the signals were read has run out") {
    CHECK(facts_of(some_timer(0, 300), 500).posix_timers->front().remaining == 0);
    CHECK(facts_of(some_timer(1000, 300), 500).posix_timers->front().remaining == 800);
    CHECK(facts_of(some_timer(100, 300), 500).posix_timers->front().remaining == 1);
    CHECK(facts_of(some_timer(0, 501), 500).posix_timers->front().remaining == 501);
    CHECK(facts_of(some_timer(1000, 600), 500).posix_timers->front().remaining == 600);
}

TEST_CASE("an alarm that came before the signals were read is no more") {
    OwnFacts facts;
    constexpr std::uint64_t intervals[] = {5000, 6000, 0};
    for (unsigned which = 0; which < rfork::kinds::interval_timer_count; ++which)
        facts.kernel.interval_timers[which] = {intervals[which], 3};
    facts.kernel.timers_asked = 1;
    facts.pending_read = 10001;
    for (int number : {SIGALRM, SIGVTALRM, SIGPROF}) {
        PosixTimer as_sender;
        as_sender.signal = number;
        facts.pending.push_back(expiry_of(as_sender, SI_KERNEL));
    }
    advance_timers(facts.pending_read, facts.pending, facts.kernel, *facts.posix_timers);
    const auto& timers = facts.kernel.interval_timers;
    CHECK(timers[0].remaining == 0); // stands still until the signal is taken
    CHECK(timers[1].remaining == 6003 - 11);
    CHECK(timers[2].remaining == 0);
    CHECK(timers[0].interval == 5000);
}
