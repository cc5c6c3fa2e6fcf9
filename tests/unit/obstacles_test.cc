#include "snapshot/obstacles.h"

#include <catch2/catch.hpp>
#include <string>

using rfork::capture::Obstacles;

TEST_CASE("A path of any length leaves room for what to do") {
    Obstacles obstacles;
    obstacles.add_descriptor(7, "descriptor 7 (/" + std::string(4000, 'x') + "/end) is locked",
                             false, "");
    const std::string sentence = obstacles.error().sentence;
    CHECK(sentence.find("RFORK_IGNORE=7") < 900);
    CHECK(sentence.find("/end) is locked") != std::string::npos);
}

TEST_CASE("A file that is only locked is not to be replaced by nothing") {
    Obstacles obstacles;
    obstacles.add_descriptor(3, "descriptor 3 (/home/ada/t.db) holds a file lock", false, "lock");
    CHECK(obstacles.error().sentence.find("RFORK_IGNORE=3") == std::string::npos);
    obstacles.add_descriptor(4, "descriptor 4 (socket:[1]) is a socket", false, "");
    CHECK(obstacles.error().sentence.find("RFORK_IGNORE=lock,4 to") != std::string::npos);
}

TEST_CASE("Who freezes another process is told whose obstacles they are, and how to do without") {
    Obstacles obstacles;
    obstacles.are_of("process 7 (sim)");
    obstacles.add_descriptor(4, "descriptor 4 (socket:[1]) is a socket", true, "");
    obstacles.add_children("the process has a child, 8 (sh)");
    const std::string sentence = obstacles.error().sentence;
    CHECK(sentence.starts_with("process 7 (sim) cannot be frozen: descriptor 4"));
    CHECK(sentence.find("leave it out by --ignore=4 ") != std::string::npos);
    CHECK(sentence.find("; the process has a child, 8 (sh)") != std::string::npos);
    CHECK(sentence.find("--ignore=children") != std::string::npos);
    CHECK(sentence.find("the call") == std::string::npos);
}
