#include "capture/obstacles.h"

#include <catch2/catch.hpp>
#include <string>

using rfork::capture::Obstacles;

TEST_CASE("A path of any length leaves room for what to do") {
    Obstacles obstacles;
    obstacles.add_descriptor(7, "descriptor 7 (/" + std::string(4000, 'x') + "/end) is locked",
                             false);
    const std::string sentence = obstacles.error().sentence;
    CHECK(sentence.find("RFORK_IGNORE=7") < 900);
    CHECK(sentence.find("/end) is locked") != std::string::npos);
}
