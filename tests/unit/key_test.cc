#include "remote/key.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace rfork;
using namespace rfork::remote;

namespace {

class Folder {
  public:
    Folder() { REQUIRE(::mkdtemp(path_)); }
    ~Folder() { (void)std::system(("rm -rf " + std::string(path_)).c_str()); }
    std::string file(const std::string& name) const { return std::string(path_) + "/" + name; }

  private:
    char path_[32] = "/tmp/rfork-key-test-XXXXXX";
};

std::string write_file(const std::string& path, const std::string& text, mode_t mode = 0600) {
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
    return path;
}

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

mode_t mode_of(const std::string& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    return status.st_mode & 07777;
}

int error_of(const std::string& path) {
    auto key = read_key(path);
    if (key)
        return 0;
    CHECK(key.error().sentence.find(path) != std::string::npos);
    return key.error().code;
}

const std::string good = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";

} // namespace

TEST_CASE("a key file of 64 hexadecimal digits and a newline is read") {
    Folder folder;
    auto key = read_key(write_file(folder.file("key"), good));
    REQUIRE(key);
    for (std::size_t i = 0; i < key->size(); ++i)
        CHECK((*key)[i] == i);
}

TEST_CASE("a key that is missing is to be copied or made, one that may not be read is to be lent") {
    Folder folder;
    auto missing = read_key(folder.file("key"));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().sentence.find("rfork keygen") != std::string::npos);
    if (::geteuid() == 0)
        return; // root may read everything
    auto closed = read_key(write_file(folder.file("closed"), good, 0));
    REQUIRE_FALSE(closed);
    CHECK(closed.error().sentence.find("chmod 640") != std::string::npos);
    CHECK(closed.error().sentence.find("keygen") == std::string::npos);
}

TEST_CASE("a key that a third person owns is refused") {
    Folder folder;
    const std::string path = write_file(folder.file("key"), good);
    if (::chown(path.c_str(), 1, static_cast<gid_t>(-1)) != 0)
        return; // only root can give a file away
    CHECK(error_of(path) == EACCES);
}

TEST_CASE(
    "a key that others than its owner and group can read, or that any can write, is refused") {
    Folder folder;
    const std::string path = write_file(folder.file("key"), good);
    for (mode_t mode : {0400, 0600, 0440, 0640, 0700}) {
        ::chmod(path.c_str(), mode);
        CHECK(error_of(path) == 0);
    }
    for (mode_t mode : {0604, 0644, 0660, 0620, 0602, 0610, 0601, 0777}) {
        ::chmod(path.c_str(), mode);
        CHECK(error_of(path) == EACCES);
    }
}

TEST_CASE("a malformed key file is refused") {
    Folder folder;
    CHECK(error_of(write_file(folder.file("empty"), "")) == EINVAL);
    CHECK(error_of(write_file(folder.file("no newline"), good.substr(0, 64))) == EINVAL);
    CHECK(error_of(write_file(folder.file("short"), good.substr(2))) == EINVAL);
    CHECK(error_of(write_file(folder.file("long"), std::string("0") + good)) == EINVAL);
    CHECK(error_of(write_file(folder.file("more"), good + "\n")) == EINVAL);
    CHECK(error_of(write_file(folder.file("no digit"), std::string("g") + good.substr(1))) ==
          EINVAL);
    CHECK(error_of(write_file(folder.file("a space"), std::string(" ") + good.substr(1))) ==
          EINVAL);
}

TEST_CASE("what is no regular file is no key") {
    Folder folder;
    CHECK(error_of(folder.file("missing")) == ENOENT);
    CHECK(error_of(folder.file("")) == EINVAL);
    ::mkfifo(folder.file("fifo").c_str(), 0600);
    CHECK(error_of(folder.file("fifo")) == EINVAL); // and opening it does not wait
}

TEST_CASE("a generated key can be read back, is private and different each time") {
    Folder folder;
    const mode_t before = ::umask(0777);
    REQUIRE(generate_key(folder.file("one")));
    ::umask(0);
    REQUIRE(generate_key(folder.file("two")));
    ::umask(before);
    CHECK(mode_of(folder.file("one")) == 0600);
    CHECK(mode_of(folder.file("two")) == 0600);
    auto one = read_key(folder.file("one")), two = read_key(folder.file("two"));
    REQUIRE(one);
    REQUIRE(two);
    CHECK(*one != *two);
}

TEST_CASE("generating a key never overwrites, nor follows a link") {
    Folder folder;
    const std::string path = write_file(folder.file("key"), "precious");
    auto made = generate_key(path);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == EEXIST);
    CHECK(contents(path) == "precious");
    REQUIRE(::symlink("elsewhere", folder.file("link").c_str()) == 0);
    CHECK_FALSE(generate_key(folder.file("link")));
    CHECK(::access(folder.file("elsewhere").c_str(), F_OK) != 0);
}
