#include "sealed.h"

#include "rexecd/runners.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace rexecd;
using namespace std::chrono_literals;
using rfork::test::id_of;

namespace {

void report_kind(int report, Outcome::Kind kind) {
    Outcome outcome{};
    outcome.kind = kind;
    [[maybe_unused]] ssize_t written = ::write(report, &outcome, sizeof(outcome));
}

// What a job's runner does is the job's "program".
void work(const Job& job, int report) {
    if (job.request.program == "dies")
        return;
    if (job.request.program == "stops") // as its user may make it, at any time
        ::raise(SIGSTOP);
    report_kind(report, Outcome::proved);
    if (job.request.program == "stops when proved")
        ::raise(SIGSTOP);
    report_kind(report, Outcome::resumed);
}

struct World {
    explicit World(Runners::Limits limits)
        : runners(
              io, [this](const Runners::Ended& end) { ended.push_back(end); }, work, limits) {}
    ~World() {
        for (pid_t process : stopped)
            ::kill(process, SIGKILL);
        siginfo_t child;
        while (::waitid(P_ALL, 0, &child, WEXITED | WSTOPPED) == 0)
            if (child.si_code == CLD_STOPPED)
                ::kill(child.si_pid, SIGKILL);
    }

    Runners::Started start(const char* how, uid_t user = 1000, in_addr_t source = 1) {
        Job job;
        job.request.program = how;
        job.user = user;
        why = {};
        return runners.start(id_of(++last), job, source, why);
    }
    // Until that many have ended.
    void run_until_ended(std::size_t count) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (ended.size() < count && std::chrono::steady_clock::now() < deadline) {
            io.restart();
            io.run_one_for(100ms);
        }
        REQUIRE(ended.size() == count);
    }
    // Until that many stand still, and what they have said before is heard.
    void run_until_stopped(std::size_t count) {
        int status;
        while (stopped.size() < count) {
            const pid_t process = ::waitpid(-1, &status, WUNTRACED);
            REQUIRE(process > 0);
            if (WIFSTOPPED(status))
                stopped.push_back(process);
        }
        io.restart();
        io.poll();
    }
    long resumed() const {
        return std::count_if(ended.begin(), ended.end(), [](const Runners::Ended& each) {
            return each.proved && each.outcome && each.outcome->kind == Outcome::resumed;
        });
    }
    // Killed, and if proved before, it is said.
    long killed(bool proved) const {
        return std::count_if(ended.begin(), ended.end(), [&](const Runners::Ended& each) {
            return each.proved == proved && !each.outcome;
        });
    }

    boost::asio::io_context io{1};
    std::vector<Runners::Ended> ended;
    std::vector<pid_t> stopped;
    rfork::Error why;
    std::uint8_t last = 0;
    Runners runners;
};

constexpr auto yes = Runners::Started::yes, not_now = Runners::Started::not_now,
               refused = Runners::Started::refused;

Runners::Limits few() {
    Runners::Limits limits;
    limits.unproved = 4;
    limits.unproved_share = 2;
    limits.of_a_user = 2;
    limits.proved = 3;
    return limits;
}

Runners::Limits impatient() {
    Runners::Limits limits = few();
    limits.to_prove = limits.to_run = 1500ms;
    return limits;
}

} // namespace

TEST_CASE("a runner that does its work tells how it ended") {
    World world{Runners::Limits()};
    REQUIRE(world.start("runs") == yes);
    world.run_until_ended(1);
    CHECK(world.resumed() == 1);
    CHECK(world.ended[0].request.bytes[0] == world.last);
}

TEST_CASE("a runner that dies without a word proves nobody") {
    World world{Runners::Limits()};
    REQUIRE(world.start("dies") == yes);
    world.run_until_ended(1);
    CHECK(world.killed(false) == 1);
}

TEST_CASE(
    "runners that are stopped before their user is proved leave room for others, and are ended") {
    World world(impatient());
    REQUIRE(world.start("stops", 1000, 1) == yes);
    REQUIRE(world.start("stops", 1000, 1) == yes);
    CHECK(world.start("runs", 1002, 1) == not_now); // this host has had its share
    REQUIRE(world.start("stops", 1000, 2) == yes);  // whomever it names
    REQUIRE(world.start("runs", 1000, 3) == yes);
    CHECK(world.start("runs", 1004, 4) == not_now); // four in all
    world.run_until_ended(4);
    CHECK(world.resumed() == 1);
    CHECK(world.killed(false) == 3);

    REQUIRE(world.start("runs", 1000, 1) == yes);
    world.run_until_ended(5);
    CHECK(world.resumed() == 2);
}

// (A neighbour who stopped sixteen kept all of his host's users waiting for half a minute.)
TEST_CASE("runners that are stopped before their user is proved end when room is short") {
    World world(few());
    REQUIRE(world.start("stops") == yes);
    REQUIRE(world.start("stops") == yes);
    auto started = not_now;
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while ((started = world.start("works", 1001)) == not_now &&
           std::chrono::steady_clock::now() < deadline) {
        world.io.restart();
        world.io.run_one_for(10ms);
    }
    REQUIRE(started == yes);
    CHECK(world.killed(false) >= 1); // the other may not have stopped yet
}

TEST_CASE("runners that are stopped when their user is proved count for him alone") {
    World world(few());
    REQUIRE(world.start("stops when proved", 1000, 1) == yes);
    REQUIRE(world.start("stops when proved", 1000, 1) == yes);
    world.run_until_stopped(2);
    REQUIRE(world.start("runs", 1000, 2) == refused);
    CHECK(world.why.code == EAGAIN);
    CHECK(world.why.sentence.find("2 of this user's") != std::string::npos);
    REQUIRE(world.start("runs", 1001, 1) == yes); // from the same host
    world.run_until_ended(1);
    CHECK(world.resumed() == 1);

    REQUIRE(world.start("stops when proved", 1002, 1) == yes);
    world.run_until_stopped(3);
    CHECK(world.start("runs", 1003, 1) == refused);
    CHECK(world.why.sentence.find("3 are being started") != std::string::npos);
}

TEST_CASE("a runner that is stopped when its user is proved is ended, and its end is his") {
    World world(impatient());
    REQUIRE(world.start("stops when proved") == yes);
    world.run_until_ended(1);
    CHECK(world.killed(true) == 1);
    REQUIRE(world.start("runs") == yes);
    world.run_until_ended(2);
    CHECK(world.resumed() == 1);
}
