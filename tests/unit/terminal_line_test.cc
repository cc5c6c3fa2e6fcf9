#include "notifyd/terminal_line.h"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace notifyd;

namespace {

void in_utc() {
    ::setenv("TZ", "UTC0", 1);
    ::tzset();
}

} // namespace

TEST_CASE("on a terminal every host has a column of its own") {
    in_utc();
    TerminalLines lines(false);
    CHECK(lines.make({1, 2'000'000}, "10.0.0.1", "one\n") == "00:00:01.002  o  10.0.0.1  one\n");
    CHECK(lines.make({1, 0}, "10.0.0.2", "two") == "00:00:01.000  . o  10.0.0.2  two\n");
    CHECK(lines.make({1, 0}, "10.0.0.1", "three") == "00:00:01.000  o .  10.0.0.1  three\n");
}

TEST_CASE("hosts beyond the last column share it") {
    TerminalLines lines(false);
    std::string line;
    for (int host = 0; host < 20; ++host)
        line = lines.make({0, 0}, "10.0.0." + std::to_string(host), "x");
    CHECK(line.find("  . . . . . . . o  10.0.0.19  x\n") != std::string::npos);
}

TEST_CASE("failures are red, and strangers cannot talk to the terminal") {
    TerminalLines lines(true);
    CHECK(lines.make({0, 0}, "h", "a[1]: rfork failed: no")
              .find("\x1b[31ma[1]: rfork failed: no\x1b[0m\n") != std::string::npos);
    CHECK(lines.make({0, 0}, "h", "a[1]: dump started").find('\x1b') == std::string::npos);
    CHECK(lines.make({0, 0}, "h", "\x1b[2J").find('\x1b') == std::string::npos);
    CHECK(tells_of_failure("rfork.1: process 7 ended: status 1"));
    CHECK(tells_of_failure("rfork.1: process 7 killed by SIGSEGV (core dumped)"));
    CHECK_FALSE(tells_of_failure("rfork.1: process 7 ended: status 0"));
}
