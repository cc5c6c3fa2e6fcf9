#include "sealed.h"

#include "rexecd/requests.h"

#include <catch2/catch.hpp>
#include <cerrno>

using namespace rexecd;
using rfork::remote::Message;
using rfork::remote::MessageKind;
using rfork::test::id_of;

namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t noon = 1'700'000'000 * second;

// A daemon that started an hour before noon, and its clocks.
struct World {
    explicit World(Requests::Limits limits = {})
        : requests({now.wall - 3600 * second, 0}, limits) {}

    void pass(std::uint64_t seconds) {
        now.wall += seconds * second;
        now.steady += seconds * second;
    }
    Message message(MessageKind kind, rfork::image::Id id) {
        Message message;
        message.kind = kind;
        message.request = id;
        message.time = now.wall;
        message.nonce = ++last_nonce;
        return message;
    }
    Verdict request(rfork::image::Id id) { return receive(message(MessageKind::request, id)); }
    Verdict cancel(rfork::image::Id id) { return receive(message(MessageKind::cancel, id)); }
    Verdict receive(const Message& message) { return requests.receive(message, now); }

    Now now{noon, 3600 * second};
    std::uint64_t last_nonce = 0;
    Requests requests;
};

rfork::image::Id numbered(std::uint32_t number) {
    rfork::image::Id id{};
    for (int i = 0; i < 4; ++i)
        id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    return id;
}

Answer resumed(std::int64_t pid) {
    return {MessageKind::resumed, 0, pid, {}};
}

} // namespace

TEST_CASE("a new request is started, once") {
    World world;
    CHECK(world.request(id_of(1)) == Verdict::start);
    CHECK(world.request(id_of(1)) == Verdict::answer_working);
    CHECK(world.request(id_of(2)) == Verdict::start);
}

TEST_CASE("a finished request is answered again, however often it is asked") {
    World world;
    world.request(id_of(1));
    CHECK(world.requests.finish(id_of(1), resumed(42)));
    for (int i = 0; i < 3; ++i) {
        CHECK(world.request(id_of(1)) == Verdict::answer_again);
        CHECK(world.requests.answer(id_of(1)).pid == 42);
    }
}

TEST_CASE("the same datagram twice is ignored the second time") {
    World world;
    Message request = world.message(MessageKind::request, id_of(1));
    CHECK(world.receive(request) == Verdict::start);
    CHECK(world.receive(request) == Verdict::ignore);
    world.requests.finish(id_of(1), resumed(42));
    CHECK(world.receive(request) == Verdict::ignore);
}

TEST_CASE("a cancelled request is never answered, before, during and after its run") {
    World world;
    world.cancel(id_of(1));
    CHECK(world.request(id_of(1)) == Verdict::ignore);

    world.request(id_of(2));
    world.cancel(id_of(2));
    CHECK_FALSE(world.requests.finish(id_of(2), resumed(42)));
    CHECK(world.request(id_of(2)) == Verdict::ignore);

    world.request(id_of(3));
    world.requests.finish(id_of(3), resumed(42));
    world.cancel(id_of(3));
    CHECK(world.request(id_of(3)) == Verdict::ignore);
}

TEST_CASE("a time stamp may be a minute off either way, and not more") {
    World world;
    Message request = world.message(MessageKind::request, id_of(1));
    request.time = noon - 60 * second;
    CHECK(world.receive(request) == Verdict::start);
    request = world.message(MessageKind::request, id_of(2));
    request.time = noon + 60 * second;
    CHECK(world.receive(request) == Verdict::start);
    for (std::uint64_t time :
         {noon - 60 * second - 1, noon + 60 * second + 1, std::uint64_t(0), ~std::uint64_t(0)}) {
        request = world.message(MessageKind::request, id_of(3));
        request.time = time;
        CHECK(world.receive(request) == Verdict::refuse_clock);
    }
    CHECK(world.requests.remembered() == 2);
}

TEST_CASE("a late datagram about a known request is answered by what is known") {
    World world;
    Message late = world.message(MessageKind::request, id_of(1));
    world.request(id_of(1));
    world.pass(61);
    CHECK(world.receive(late) == Verdict::answer_working);
    CHECK(world.receive(late) == Verdict::answer_working);
}

TEST_CASE("a request sent before the daemon started is only looked up") {
    World world;
    world.requests = Requests({noon - second, world.now.steady});
    Message request = world.message(MessageKind::request, id_of(1));
    request.time = noon - 2 * second;
    CHECK(world.receive(request) == Verdict::start_claims_only);
    request = world.message(MessageKind::request, id_of(2));
    request.time = noon - second;
    CHECK(world.receive(request) == Verdict::start);
}

TEST_CASE("answers that come to the wrong side are ignored") {
    World world;
    for (MessageKind kind : {MessageKind::working, MessageKind::resumed, MessageKind::refused})
        CHECK(world.receive(world.message(kind, id_of(1))) == Verdict::ignore);
    CHECK(world.requests.remembered() == 0);
}

TEST_CASE("a request is remembered for two windows after it was last heard of") {
    World world;
    world.request(id_of(1));
    world.requests.finish(id_of(1), resumed(42));
    world.pass(119);
    CHECK(world.request(id_of(1)) == Verdict::answer_again);
    world.pass(119);
    CHECK(world.request(id_of(1)) == Verdict::answer_again);
    world.pass(121);
    world.request(id_of(2));
    CHECK(world.requests.remembered() == 1);
}

TEST_CASE("a datagram cannot be replayed when its request is forgotten") {
    World world;
    Message request = world.message(MessageKind::request, id_of(1));
    request.time = noon + 60 * second; // from a host whose clock is fast
    world.receive(request);
    world.requests.finish(id_of(1), resumed(42));
    for (int i = 0; i < 30; ++i) {
        world.pass(10);
        Verdict verdict = world.receive(request);
        CHECK(verdict != Verdict::start);
        CHECK(verdict != Verdict::start_claims_only);
    }
}

TEST_CASE("a running request is not forgotten, but after a time no longer called working") {
    World world;
    world.request(id_of(1));
    for (int i = 0; i < 11; ++i) {
        world.pass(60);
        CHECK(world.request(id_of(1)) == Verdict::answer_working);
    }
    world.pass(60);
    CHECK(world.request(id_of(1)) == Verdict::ignore);
    world.pass(3600);
    CHECK(world.request(id_of(1)) == Verdict::ignore);
    CHECK(world.requests.finish(id_of(1), resumed(42)));
}

TEST_CASE("a flood fills the memory and no more; it is silent, and over when it is over") {
    Requests::Limits limits;
    limits.requests = 100;
    limits.nonces = 1000;
    World world(limits);
    for (std::uint32_t i = 0; i < 5000; ++i) {
        Verdict verdict = world.request(numbered(i));
        CHECK(verdict == (i < 100 ? Verdict::start : Verdict::ignore));
        if (verdict == Verdict::start)
            world.requests.finish(numbered(i), resumed(1));
    }
    CHECK(world.requests.remembered() == 100);
    CHECK(world.requests.remembered_nonces() <= 2000);
    world.pass(121);
    CHECK(world.request(numbered(9999)) == Verdict::start);
    CHECK(world.requests.remembered() == 1);
    world.pass(121);
    world.request(numbered(10000));
    world.pass(121);
    world.request(numbered(10001));
    CHECK(world.requests.remembered_nonces() <= 2);
}
