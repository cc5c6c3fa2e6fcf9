#include "remote/spool.h"

#include <catch2/catch.hpp>
#include <cstring>

using namespace rfork;
using namespace rfork::remote;

namespace {

const image::Id some_id = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                            0xcc, 0xdd, 0xee, 0xff}};
const std::string digits = "00112233445566778899aabbccddeeff";

} // namespace

TEST_CASE("names in the spool are made of the image's id") {
    CHECK(id_text(some_id) == digits);
    CHECK(image_name(some_id) == "rfork." + digits);
    CHECK(temporary_name(some_id) == ".rfork." + digits + ".tmp");
    CHECK(log_name(image_name(some_id)) == "rfork." + digits + ".out");
}

TEST_CASE("no two ids are the same") {
    image::Id one = new_id(), two = new_id();
    CHECK(std::memcmp(&one, &two, sizeof(one)) != 0);
}

TEST_CASE("an image name is one harmless path component") {
    CHECK(is_image_name(image_name(some_id)));
    CHECK(is_image_name("rfork." + std::string(max_image_name - 6, 'x')));
    CHECK_FALSE(is_image_name("rfork." + std::string(max_image_name - 5, 'x')));
    for (const char* name : {"", "rfork", "rfork.", "passwd", ".rfork.x", "../rfork.x", "rfork./x",
                             "rfork.x/", "rfork.x/../../y", "rfork.x\n", "rfork.\x7f", "/rfork.x"})
        CHECK_FALSE(is_image_name(name));
    CHECK_FALSE(is_image_name(std::string_view("rfork.\0x", 8)));
}

TEST_CASE("an entry of the spool is told by its exact name") {
    CHECK(kind_of_entry("rfork." + digits) == EntryKind::image);
    CHECK(kind_of_entry("rfork." + digits + ".claim") == EntryKind::claim);
    CHECK(kind_of_entry("rfork." + digits + ".out") == EntryKind::log);
    CHECK(kind_of_entry(".rfork." + digits + ".tmp") == EntryKind::temporary);
}

TEST_CASE("what only resembles an entry of rfork's is somebody else's") {
    for (const std::string& name :
         {std::string(), std::string("rfork."), std::string(".rfork..tmp"),
          std::string(".rfork.tmp"), "rfork." + digits.substr(1), "rfork." + digits + "0",
          "rfork." + digits + ".old", "rfork." + digits + ".claim~", "rfork.A0" + digits.substr(2),
          ".rfork." + digits, "rfork." + digits + ".tmp", "my-rfork." + digits, digits})
        CHECK(kind_of_entry(name) == EntryKind::foreign);
}
