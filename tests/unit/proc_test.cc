#include "base/proc.h"

#include "base/clock.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <unistd.h>

using namespace rfork;

TEST_CASE("a file is read to its end, or to no less than a limit") {
    std::string text = "before:";
    CHECK(read_text(AT_FDCWD, "/proc/self/status", text) == 0);
    CHECK(text.substr(0, 12) == "before:Name:");
    CHECK(std::atoi(field(text, "Pid").c_str()) == getpid());

    std::string part;
    CHECK(read_text(AT_FDCWD, "/proc/self/smaps", part, 1) == 0);
    CHECK(!part.empty());
    CHECK(part.size() < text_of("/proc/self/smaps").size());
}

TEST_CASE("a file that is not there is an errno value, and errno stays what it was") {
    errno = EXDEV;
    std::string text;
    CHECK(read_text(AT_FDCWD, "/nowhere", text) == ENOENT);
    CHECK(read_text(AT_FDCWD, "/proc/self", text) == EISDIR);
    CHECK(text.empty());
    CHECK(text_of("/nowhere").empty());
    CHECK(errno == EXDEV);
}

TEST_CASE("a value in the text of a status file") {
    const std::string text = "Name:\tNSpid: 7\nNSpid:\t120\t35\t1\nPid:\t120\n";
    CHECK(field(text, "Name") == "NSpid: 7");
    CHECK(field(text, "Pid") == "120");
    CHECK(field(text, "Uid").empty());
    CHECK(ids_in(text) == std::vector<pid_t>{120, 35, 1});
    CHECK(own_id_in(text) == 1);
    CHECK(ids_in("Pid:\t120\n").empty());
    CHECK(own_id_in("Pid:\t120\n") == 0);
    CHECK(own_id_in(text_of("/proc/self/status")) == getpid());
}

TEST_CASE("the name in a stat file may look like what follows it") {
    CHECK(fields_in_stat("7 (a) Z 1 (b)) S 3 4\n") == "S 3 4\n");
    CHECK(fields_in_stat("7 (a)").empty());
    CHECK(fields_in_stat("").empty());
    CHECK(fields_in_stat(text_of("/proc/self/stat")).substr(0, 2) == "R ");
}

TEST_CASE("a user namespace knows at least who runs in it, if it is not a stranger's") {
    constexpr uid_t overflow = 65534;
    bool known = getuid() == overflow;
    for (const UserRange& range : known_users())
        known |= getuid() >= range.inside && getuid() - range.inside < range.count;
    CHECK(known);
}

TEST_CASE("a time survives both ways of saying it") {
    const std::uint64_t time = 1'700'000'000'123'456'789;
    CHECK(to_timespec(time).tv_nsec == 123'456'789);
    CHECK(nanoseconds(to_timespec(time)) == time);
}

TEST_CASE("the clock of the kernel and that of libc are one") {
    const std::uint64_t before = clock_ns(CLOCK_MONOTONIC),
                        by_libc = libc_clock_ns(CLOCK_MONOTONIC);
    CHECK(before <= by_libc);
    CHECK(by_libc <= monotonic_ns());
}
