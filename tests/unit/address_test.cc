#include "remote/address.h"

#include <catch2/catch.hpp>
#include <cerrno>

using namespace rfork;
using namespace rfork::remote;

namespace {

std::string parsed(std::string_view text) {
    auto address = parse_address(text, 7411);
    return address ? address->host + " " + std::to_string(address->port) : "";
}

std::string refusal(std::string_view text) {
    auto address = parse_address(text, 7411);
    if (address)
        return "";
    CHECK(address.error().code == EINVAL);
    return address.error().sentence;
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a name or an IPv4 address is taken with its port or the default one") {
    CHECK(parsed("oak") == "oak 7411");
    CHECK(parsed("oak.example.org:17") == "oak.example.org 17");
    CHECK(parsed("192.0.2.1") == "192.0.2.1 7411");
    CHECK(parsed("192.0.2.1:65535") == "192.0.2.1 65535");
    CHECK(parsed("3com") == "3com 7411");
}

TEST_CASE("a malformed port is refused") {
    for (const char* text :
         {"oak:", "oak:port", "oak:65536", "oak:-1", "oak:1x", "oak: 1", "oak:+1"})
        CHECK(contains(refusal(text), "port"));
    CHECK(contains(refusal("oak:0"), "port 0"));
    auto any = parse_address("127.0.0.1:0", 7411, PortZero::allowed);
    REQUIRE(any);
    CHECK(any->port == 0);
}

TEST_CASE("what is no host is refused, and quoted") {
    CHECK(contains(refusal(""), "missing"));
    CHECK(contains(refusal(":7411"), "missing"));
    CHECK(contains(refusal("a b"), "\"a b\""));
    CHECK(contains(refusal("oak/elm"), "letters"));
    CHECK(contains(refusal(std::string_view("oak\0elm", 7)), "letters"));
    CHECK(contains(refusal(std::string(254, 'a')), "too long"));
}

TEST_CASE("half a numeric address is no name") {
    for (const char* text : {"1.2.3", "16909060", "256.0.0.1", "1.2.3.4.5", "1.2.3.4."})
        CHECK(contains(refusal(text), "numeric"));
}

TEST_CASE("an IPv6 address is refused as something that comes later") {
    for (const char* text : {"::1", "[::1]:7411", "fe80::1", "[::1]"})
        CHECK(contains(refusal(text), "IPv6 is not supported yet"));
}

TEST_CASE("a numeric address resolves to itself") {
    auto resolved = resolve({"127.0.0.2", 99});
    REQUIRE(resolved);
    CHECK(address_text(*resolved) == "127.0.0.2:99");
}

TEST_CASE("a name that nobody knows is unreachable, and named") {
    auto resolved = resolve({"no-such-host.invalid", 99});
    REQUIRE_FALSE(resolved);
    CHECK(resolved.error().code == EHOSTUNREACH);
    CHECK(contains(resolved.error().sentence, "no-such-host.invalid"));
}
