#include "sealed.h"

#include "base/clock.h"
#include "remote/random.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>

using namespace rfork;
using namespace rfork::remote;
using namespace rfork::test;

namespace {

std::optional<Message> there_and_back(const Message& message) {
    return remote::open(seal(message, some_key()), some_key());
}

bool same(const image::Id& a, const image::Id& b) {
    return std::memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

Message answer_of(MessageKind kind) {
    Message message;
    message.kind = kind;
    message.request = id_of(9);
    return message;
}

// A sealed request with one change before the MAC, under a right MAC.
std::optional<Message> opened_with(std::size_t offset, std::uint8_t value) {
    Datagram content = without_mac(seal(a_request(), some_key()));
    content.at(offset) = value;
    return remote::open(with_right_mac(content, some_key()), some_key());
}

} // namespace

TEST_CASE("a request arrives as it was sent") {
    auto got = there_and_back(a_request());
    REQUIRE(got);
    CHECK(got->kind == MessageKind::request);
    CHECK(same(got->request, a_request().request));
    CHECK(same(got->image, a_request().image));
    CHECK(got->user == a_request().user);
    CHECK(got->outer_user == a_request().outer_user);
    CHECK(got->directory == a_request().directory);
    CHECK(got->ticket == a_request().ticket);
    CHECK(got->program == a_request().program);
    CHECK(got->log == a_request().log);
}

TEST_CASE("a request proves that its sender has read the image, for just what it says") {
    const auto got = there_and_back(a_request());
    REQUIRE(got);
    CHECK(is_proof(*got, some_secret()));
    image::Secret other = some_secret();
    other.bytes[31] ^= 1;
    CHECK_FALSE(is_proof(*got, other));
    const auto changed = [&](auto change) {
        Message message = *got;
        change(message);
        return is_proof(message, some_secret());
    };
    CHECK_FALSE(changed([](Message& m) { m.request = id_of(77); }));
    CHECK_FALSE(changed([](Message& m) { m.user = 1; }));
    CHECK_FALSE(changed([](Message& m) { m.outer_user = 1; }));
    CHECK_FALSE(changed([](Message& m) { m.image = id_of(77); }));
    CHECK_FALSE(changed([](Message& m) { m.directory += "x"; }));
    CHECK_FALSE(changed([](Message& m) { m.ticket += "x"; }));
    CHECK_FALSE(changed([](Message& m) { m.log += "x"; }));
    CHECK_FALSE(changed([](Message& m) { m.program += "x"; }));
    CHECK_FALSE(changed([](Message& m) { m.proof[0] ^= 1; }));
}

TEST_CASE("every answer arrives as it was sent") {
    CHECK(there_and_back(answer_of(MessageKind::working))->kind == MessageKind::working);

    Message resumed = answer_of(MessageKind::resumed);
    resumed.pid = 4194303;
    CHECK(there_and_back(resumed)->pid == 4194303);

    Message refused = answer_of(MessageKind::refused);
    refused.error = ENOSPC;
    refused.sentence = "the spool is full";
    auto got = there_and_back(refused);
    REQUIRE(got);
    CHECK(got->error == ENOSPC);
    CHECK(got->sentence == "the spool is full");
}

TEST_CASE("each sealing stamps the time and a new nonce") {
    const std::uint64_t now = realtime_ns();
    auto first = there_and_back(a_request()), second = there_and_back(a_request());
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->nonce != second->nonce);
    CHECK(first->time >= now);
    CHECK(first->time <= second->time);
}

TEST_CASE("a long sentence is cut to fit, between two characters") {
    Message refused = answer_of(MessageKind::refused);
    refused.sentence = std::string(max_sentence - 1, 'x') + "\u00e9\u00e9";
    Datagram datagram = seal(refused, some_key());
    CHECK(datagram.size() <= max_datagram);
    auto got = remote::open(datagram, some_key());
    REQUIRE(got);
    CHECK(got->sentence == std::string(max_sentence - 1, 'x'));
}

TEST_CASE("texts that are too long are cut, and the longest fit together") {
    Message message = a_request();
    message.directory.assign(max_name + 1, 'd');
    message.ticket.assign(max_name + 1, 't');
    message.program.assign(max_name + 1, 'p');
    message.log.assign(max_log_name + 1, 'l');
    auto got = there_and_back(message);
    REQUIRE(got);
    CHECK(got->directory.size() == max_name);
    CHECK(got->log.size() == max_log_name);

    Message resumed = answer_of(MessageKind::resumed);
    resumed.running.assign(1000, 'r');
    resumed.log.assign(1000, 'l');
    REQUIRE(there_and_back(resumed));
}

TEST_CASE("no flipped bit of a sealed datagram goes unnoticed") {
    const Datagram good = seal(a_request(), some_key());
    std::size_t opened = 0;
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        Datagram bad = good;
        bad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        opened += remote::open(bad, some_key()).has_value();
    }
    CHECK(opened == 0);
}

TEST_CASE("no truncated or lengthened datagram is opened") {
    const Datagram good = seal(a_request(), some_key());
    std::size_t opened = 0;
    for (std::size_t size = 0; size < good.size(); ++size)
        opened += remote::open(std::span(good).first(size), some_key()).has_value();
    Datagram longer = good;
    for (int extra = 0; extra < 100; ++extra) {
        longer.push_back(0);
        opened += remote::open(longer, some_key()).has_value();
    }
    CHECK(opened == 0);
}

TEST_CASE("random bytes are not opened") {
    std::size_t opened = 0;
    for (std::size_t size = 0; size < 2 * max_datagram; size += 7) {
        Datagram noise(size);
        fill_random(noise);
        opened += remote::open(noise, some_key()).has_value();
    }
    CHECK(opened == 0);
}

TEST_CASE("a datagram made with another key is not opened") {
    Key other = some_key();
    other[31] ^= 1;
    CHECK_FALSE(remote::open(seal(a_request(), other), some_key()));
}

TEST_CASE("a datagram larger than any message is not opened, even with a right MAC") {
    Datagram content = without_mac(seal(a_request(), some_key()));
    content.resize(max_datagram - mac_size + 1);
    CHECK_FALSE(remote::open(with_right_mac(content, some_key()), some_key()));
}

TEST_CASE("under a right MAC, everything still must be as the byte table says") {
    CHECK(opened_with(4, 1));
    CHECK_FALSE(opened_with(0, 'X'));        // magic
    CHECK_FALSE(opened_with(4, 0));          // kinds
    CHECK_FALSE(opened_with(4, 3));          // a working answer with a body
    CHECK_FALSE(opened_with(4, 6));          // a hello with one
    CHECK_FALSE(opened_with(4, 9));          //
    CHECK_FALSE(opened_with(5, 1));          // zero fields
    CHECK_FALSE(opened_with(7, 1));          //
    CHECK_FALSE(opened_with(40, 0));         // body length
    CHECK_FALSE(opened_with(41, 0xff));      //
    CHECK_FALSE(opened_with(42, 1));         // zero fields
    CHECK_FALSE(opened_with(47, 1));         //
    CHECK_FALSE(opened_with(48 + 24, 37));   // length of a text: the next one's is wrong then
    CHECK_FALSE(opened_with(48 + 24, 39));   //
    CHECK_FALSE(opened_with(48 + 25, 0xff)); // far beyond the end
}

TEST_CASE("a resumed answer with a negative pid is not opened") {
    Message resumed = answer_of(MessageKind::resumed);
    resumed.pid = -1;
    CHECK_FALSE(there_and_back(resumed));
}
