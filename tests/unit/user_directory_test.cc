#include "base/directory_names.h"
#include "remote/spool.h"
#include "remote/user_directory.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace rfork;
using namespace rfork::remote;

namespace {

struct Spool {
    Spool() { REQUIRE(mkdtemp(path.data())); }
    ~Spool() { REQUIRE(std::system(("rm -rf " + path).c_str()) == 0); }
    int count() const {
        UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        int names = 0;
        for_each_name(fd.get(), [&](std::string_view name) { names += !name.starts_with('.'); });
        return names;
    }
    std::string path = "/tmp/rfork-spool.XXXXXX";
};

} // namespace

TEST_CASE("A user has one directory in the spool, whatever else is there") {
    const Spool spool;
    const std::string foreign = spool.path + "/" + user_directory_name(geteuid() + 1, new_id());
    REQUIRE(mkdir(foreign.c_str(), 0755) == 0);
    const std::string link = spool.path + "/" + user_directory_name(geteuid(), new_id());
    REQUIRE(symlink("/", link.c_str()) == 0);

    const auto made = find_or_make_user_directory(spool.path);
    REQUIRE(made);
    const auto found = find_or_make_user_directory(spool.path);
    REQUIRE(found);
    CHECK(found->name == made->name);
    CHECK(spool.count() == 3);
}

TEST_CASE("A directory of ours that bears another user's number is found") {
    const Spool spool;
    const std::string name = user_directory_name(geteuid() + 1, new_id());
    REQUIRE(mkdir((spool.path + "/" + name).c_str(), 0700) == 0);
    const auto found = find_or_make_user_directory(spool.path);
    REQUIRE(found);
    CHECK(found->name == name);
}

TEST_CASE("No umask keeps a user from the directory that is made for him") {
    const Spool spool;
    const mode_t before = umask(0777);
    const auto made = find_or_make_user_directory(spool.path);
    umask(before);
    REQUIRE(made);
    struct stat status;
    REQUIRE(fstat(made->fd.get(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
    CHECK(find_or_make_user_directory(spool.path)->name == made->name);
}

TEST_CASE("Who cannot open his directory is told so, and gets no second one") {
    const Spool spool;
    REQUIRE(find_or_make_user_directory(spool.path));
    const int lowest = dup(0);
    REQUIRE(lowest >= 0);
    close(lowest);
    rlimit before;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit one_more = {rlim_t(lowest + 1), before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &one_more) == 0);
    const auto found = find_or_make_user_directory(spool.path);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE(!found);
    CHECK(found.error().code == EMFILE);
    CHECK(spool.count() == 1);
}
