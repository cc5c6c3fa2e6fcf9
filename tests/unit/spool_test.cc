#include "remote/spool.h"

#include <catch2/catch.hpp>
#include <cstring>

using namespace rfork;
using namespace rfork::remote;

namespace {

const image::Id some_id = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                            0xcc, 0xdd, 0xee, 0xff}};
const std::string digits = "00112233445566778899aabbccddeeff";
const std::string attempt = "ffeeddccbbaa99887766554433221100";

EntryKind kind_of(const std::string& name) {
    return parse_entry(name).kind;
}

} // namespace

TEST_CASE("names in the spool are made of ids") {
    CHECK(id_text(some_id) == digits);
    CHECK(ticket_name(some_id) == "rfork." + digits);
    CHECK(temporary_name(some_id) == ".rfork." + digits + ".tmp");
    CHECK(given_up_name(ticket_name(some_id)) == "rfork." + digits + ".back");
    CHECK(user_directory_name(1000, some_id) == "u1000." + digits);
}

TEST_CASE("no two ids are the same") {
    image::Id one = new_id(), two = new_id();
    CHECK(std::memcmp(&one, &two, sizeof(one)) != 0);
}

TEST_CASE("a ticket's name is exactly that") {
    CHECK(is_ticket_name("rfork." + digits));
    for (const std::string& name :
         {std::string(), std::string("rfork"), std::string("rfork."), digits, "Rfork." + digits,
          "rfork." + digits + "0", "rfork." + digits.substr(1), "../rfork." + digits,
          "rfork." + digits + "/", "rfork." + digits + "\n", "rfork.A0" + digits.substr(2),
          "rfork." + digits + ".back", "rfork." + digits.substr(1) + "/"})
        CHECK_FALSE(is_ticket_name(name));
    CHECK_FALSE(is_ticket_name(std::string("rfork.") + digits.substr(1) + '\0'));
}

TEST_CASE("a user's directory tells his number") {
    CHECK(user_of_directory("u0." + digits) == 0u);
    CHECK(user_of_directory("u1000." + digits) == 1000u);
    CHECK(user_of_directory("u4294967295." + digits) == 4294967295u);
    for (const std::string& name :
         {std::string(), std::string("u"), "u." + digits, "u1000" + digits, "u1000." + digits + "x",
          "u-1." + digits, "u+1." + digits, "u01." + digits, "u4294967296." + digits,
          "v1000." + digits, "u1000." + digits.substr(1), "u1000./" + digits.substr(1)})
        CHECK_FALSE(user_of_directory(name));
}

TEST_CASE("an entry of a user's directory is told by its exact name") {
    CHECK(kind_of(".rfork." + digits + ".tmp") == EntryKind::temporary);
    CHECK(kind_of("rfork." + digits) == EntryKind::ticket);
    CHECK(kind_of("rfork." + digits + ".back") == EntryKind::given_up);

    const std::string name = "rfork." + digits + ".run." + attempt + ".elm.example.org.4711";
    const Entry running = parse_entry(name);
    CHECK(running.kind == EntryKind::running);
    CHECK(running.ticket == "rfork." + digits);
    CHECK(running.attempt == attempt + ".elm.example.org.4711");
    CHECK(running.host == "elm.example.org");
    CHECK(running.pid == 4711);
    CHECK(acknowledged_name(name) ==
          "rfork." + digits + ".ack." + attempt + ".elm.example.org.4711");
    CHECK(kind_of(*acknowledged_name(name)) == EntryKind::acknowledged);
    CHECK_FALSE(acknowledged_name("rfork." + digits));
}

TEST_CASE("what only resembles an entry of rfork's is somebody else's") {
    for (const std::string& name :
         {std::string(), std::string("rfork."), std::string(".rfork..tmp"),
          std::string(".rfork.tmp"), "rfork." + digits.substr(1), "rfork." + digits + "0",
          "rfork." + digits + ".old", "rfork." + digits + ".back~", "rfork.A0" + digits.substr(2),
          ".rfork." + digits, "rfork." + digits + ".tmp", "my-rfork." + digits, digits,
          "rfork." + digits + ".run.", "rfork." + digits + ".run." + attempt,
          "rfork." + digits + ".run." + attempt + ".elm", "rfork." + digits + ".run.elm.4711",
          "rfork." + digits + ".run." + attempt + ".elm.0",
          "rfork." + digits + ".run." + attempt + ".elm.-1",
          "rfork." + digits + ".run." + attempt + ".elm.1x"})
        CHECK(kind_of(name) == EntryKind::foreign);
}
