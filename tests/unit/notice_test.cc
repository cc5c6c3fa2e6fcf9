#include "base/notice.h"
#include "base/unique_fd.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <string>
#include <unistd.h>

using namespace rfork;

namespace {

// Standard error is the descriptor while this lives.
struct StandardError {
    explicit StandardError(int fd) : before(dup(STDERR_FILENO)) { dup2(fd, STDERR_FILENO); }
    ~StandardError() { dup2(before.get(), STDERR_FILENO); }
    UniqueFd before;
};

} // namespace

TEST_CASE("A notice goes to who reads, and is left out where nobody does") {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]), writer(ends[1]);
    char text[16] = {};
    {
        const StandardError redirected(writer.get());
        write_notice("a line\n");
    }
    CHECK(read(reader.get(), text, sizeof text) == 7);
    CHECK(std::string(text) == "a line\n");

    REQUIRE(fcntl(writer.get(), F_SETFL, O_NONBLOCK) == 0);
    while (write(writer.get(), "x", 1) == 1) {
    }
    REQUIRE(fcntl(writer.get(), F_SETFL, 0) == 0);
    const StandardError redirected(writer.get());
    write_notice("nobody reads this\n"); // and returns
}
