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
    // Asked, and a runner is at it.
    void run(rfork::image::Id id) {
        if (request(id) == Verdict::start)
            requests.started(id, now);
    }
    bool finish(rfork::image::Id id, Answer answer, uid_t user = 1000) {
        return requests.finish(id, user, std::move(answer), now);
    }
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
    Answer answer;
    answer.kind = MessageKind::resumed;
    answer.pid = pid;
    return answer;
}

} // namespace

TEST_CASE("a new request is started, once") {
    World world;
    world.run(id_of(1));
    CHECK(world.request(id_of(1)) == Verdict::answer_working);
    CHECK(world.request(id_of(2)) == Verdict::start);
}

TEST_CASE("a request that no runner has room for is not remembered") {
    World world;
    CHECK(world.request(id_of(1)) == Verdict::start);
    CHECK(world.request(id_of(1)) == Verdict::start);
    CHECK(world.requests.remembered() == 0);
}

TEST_CASE("a finished request is answered again, however often it is asked") {
    World world;
    world.run(id_of(1));
    CHECK(world.finish(id_of(1), resumed(42)));
    for (int i = 0; i < 3; ++i) {
        CHECK(world.request(id_of(1)) == Verdict::answer_again);
        CHECK(world.requests.answer(id_of(1)).pid == 42);
    }
}

TEST_CASE("one whose user was not proved is forgotten, and asked anew") {
    World world;
    world.run(id_of(1));
    CHECK(world.requests.forget(id_of(1)));
    CHECK(world.requests.remembered() == 0);
    CHECK(world.request(id_of(1)) == Verdict::start);
}

TEST_CASE("the same datagram twice is ignored the second time") {
    World world;
    Message request = world.message(MessageKind::request, id_of(1));
    CHECK(world.receive(request) == Verdict::start);
    world.requests.started(id_of(1), world.now);
    CHECK(world.receive(request) == Verdict::ignore);
    world.finish(id_of(1), resumed(42));
    CHECK(world.receive(request) == Verdict::ignore);
}

TEST_CASE("a request that is cancelled while it runs is not answered") {
    World world;
    world.run(id_of(1));
    CHECK(world.cancel(id_of(1)) == Verdict::cancelled);
    CHECK_FALSE(world.finish(id_of(1), resumed(42)));
    CHECK(world.requests.remembered() == 0);
}

TEST_CASE("cancels of requests that nobody knows leave nothing behind") {
    World world;
    for (std::uint32_t i = 0; i < 1000; ++i)
        CHECK(world.cancel(numbered(i)) == Verdict::cancelled);
    CHECK(world.requests.remembered() == 0);
    CHECK(world.request(numbered(1)) == Verdict::start);
}

TEST_CASE("a hello is welcome, unless its clock is wrong") {
    World world;
    CHECK(world.receive(world.message(MessageKind::hello, id_of(1))) == Verdict::welcome);
    Message hello = world.message(MessageKind::hello, id_of(1));
    hello.time -= 61 * second;
    CHECK(world.receive(hello) == Verdict::refuse_clock);
    CHECK(world.requests.remembered() == 0);
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
}

TEST_CASE("a late datagram about a known request is answered by what is known") {
    World world;
    Message late = world.message(MessageKind::request, id_of(1));
    world.run(id_of(1));
    world.pass(61);
    CHECK(world.receive(late) == Verdict::answer_working);
    CHECK(world.receive(late) == Verdict::answer_working);
}

TEST_CASE("answers that come to the wrong side are ignored") {
    World world;
    for (MessageKind kind : {MessageKind::working, MessageKind::resumed, MessageKind::refused,
                             MessageKind::welcome})
        CHECK(world.receive(world.message(kind, id_of(1))) == Verdict::ignore);
    CHECK(world.requests.remembered() == 0);
}

TEST_CASE("an answer is remembered for two windows after it was last heard of") {
    World world;
    world.run(id_of(1));
    world.finish(id_of(1), resumed(42));
    world.pass(119);
    CHECK(world.request(id_of(1)) == Verdict::answer_again);
    world.pass(119);
    CHECK(world.request(id_of(1)) == Verdict::answer_again);
    world.pass(121);
    world.run(id_of(2));
    CHECK(world.requests.remembered() == 1);
}

TEST_CASE("a datagram cannot be replayed when its request is forgotten") {
    World world;
    Message request = world.message(MessageKind::request, id_of(1));
    request.time = noon + 60 * second; // from a host whose clock is fast
    world.receive(request);
    world.requests.started(id_of(1), world.now);
    world.finish(id_of(1), resumed(42));
    for (int i = 0; i < 30; ++i) {
        world.pass(10);
        CHECK(world.receive(request) != Verdict::start);
    }
}

TEST_CASE("a running request is not forgotten, but after a time no longer called working") {
    World world;
    world.run(id_of(1));
    for (int i = 0; i < 11; ++i) {
        world.pass(60);
        CHECK(world.request(id_of(1)) == Verdict::answer_working);
    }
    world.pass(60);
    CHECK(world.request(id_of(1)) == Verdict::ignore);
    world.pass(3600);
    CHECK(world.request(id_of(1)) == Verdict::ignore);
    CHECK(world.finish(id_of(1), resumed(42)));
}

TEST_CASE("a ticket that is not seen is missing for good only after a while") {
    Requests::Limits limits;
    limits.missed = 100;
    World world(limits);
    CHECK_FALSE(world.requests.is_missing_for_good(id_of(1), world.now));
    world.now.steady += second / 2;
    CHECK_FALSE(world.requests.is_missing_for_good(id_of(1), world.now));
    world.now.steady += second / 2;
    CHECK(world.requests.is_missing_for_good(id_of(1), world.now));
    for (std::uint32_t i = 0; i < 1000; ++i) // a flood makes it later, not wrong
        CHECK_FALSE(world.requests.is_missing_for_good(numbered(i), world.now));
}

TEST_CASE("a user's answers crowd out his own, and nobody else's") {
    Requests::Limits limits;
    limits.answers = 100;
    limits.answers_of_a_user = 50;
    World world(limits);
    auto finished = [&](std::uint32_t number, uid_t user) {
        world.run(numbered(number));
        return world.finish(numbered(number), resumed(number), user);
    };
    CHECK(finished(1, 1000));
    for (std::uint32_t i = 100; i < 600; ++i)
        CHECK(finished(i, 1001));
    CHECK(world.requests.remembered() == 51);
    CHECK(world.request(numbered(1)) == Verdict::answer_again);
    CHECK(world.request(numbered(100)) == Verdict::start); // its ticket says what became of it

    for (std::uint32_t i = 1000; i < 1500; ++i)
        CHECK(finished(i, i)); // many users with one each: who has most gives way
    CHECK(world.requests.remembered() == 100);
    world.pass(121);
    world.run(numbered(9999));
    CHECK(world.requests.remembered() == 1);
}

TEST_CASE("a flood of nonces fills the memory and no more, and silences nobody") {
    Requests::Limits limits;
    limits.nonces = 1000;
    World world(limits);
    for (std::uint32_t i = 0; i < 5000; ++i)
        CHECK(world.request(numbered(i)) == Verdict::start);
    CHECK(world.requests.remembered_nonces() <= 2000);
    world.pass(121);
    world.request(numbered(10000));
    world.pass(121);
    world.request(numbered(10001));
    CHECK(world.requests.remembered_nonces() <= 2);
}
