// Feeds open() with arbitrary datagrams. It may refuse them, but not crash; and what it accepts
// must be sealed again to something that means the same.
//
// Behind a MAC a fuzzer sees nothing, so each input is tried twice: as it is, and under a right
// MAC.
//
//   clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -DRFORK_LIBFUZZER -Ilibrfork
//       -Itests/unit tests/fuzz/protocol_fuzz.cc librfork/remote/protocol.cc -lsodium -o
//       protocol_fuzz
//
// Without RFORK_LIBFUZZER it is an ordinary program, for CTest: it runs over the files named on its
// command line, or over mutations of valid datagrams, the same ones each time.
#include "environment.h"
#include "sealed.h"

#include <cstdint>
#include <cstring>

namespace {

using namespace rfork;
using remote::Datagram;
using remote::Message;

void require(bool condition) {
    if (!condition)
        __builtin_trap();
}

void seal_again(const Message& message, std::size_t size) {
    const Datagram datagram = remote::seal(message, test::some_key());
    require(datagram.size() == size);
    auto again = remote::open(datagram, test::some_key());
    require(again && again->kind == message.kind && again->ticket == message.ticket &&
            again->directory == message.directory && again->user == message.user &&
            again->outer_user == message.outer_user && again->program == message.program &&
            again->log == message.log && again->running == message.running &&
            again->host == message.host && again->answers == message.answers &&
            again->proof == message.proof && again->pid == message.pid &&
            again->error == message.error && again->sentence == message.sentence &&
            std::memcmp(&again->request, &message.request, sizeof(message.request)) == 0 &&
            std::memcmp(&again->image, &message.image, sizeof(message.image)) == 0);
}

bool try_datagram(const Datagram& datagram) {
    auto message = remote::open(datagram, test::some_key());
    if (message)
        seal_again(*message, datagram.size());
    return message.has_value();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Datagram input(data, data + size);
    try_datagram(input);
    try_datagram(test::with_right_mac(input, test::some_key()));
    return 0;
}

#ifndef RFORK_LIBFUZZER

#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

namespace {

constexpr int mutations = 200'000;

std::vector<Datagram> seeds() {
    std::vector<Datagram> all;
    for (int kind = 1; kind <= 8; ++kind) {
        Message message = test::a_request();
        message.kind = static_cast<remote::MessageKind>(kind);
        message.answers = 42;
        message.host = "elm";
        message.running = message.ticket + ".run.00112233445566778899aabbccddeeff.elm.4711";
        message.pid = 4711;
        message.error = 2;
        message.sentence = "no such file or directory";
        all.push_back(test::without_mac(remote::seal(message, test::some_key())));
    }
    return all;
}

Datagram mutated(Datagram bytes, std::mt19937& random) {
    for (unsigned changes = random() % 4; changes-- > 0 && !bytes.empty();)
        bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    if (random() % 4 == 0)
        bytes.resize(random() % (remote::max_datagram + 8));
    return bytes;
}

} // namespace

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        std::ifstream file(argv[i], std::ios::binary);
        const Datagram bytes{std::istreambuf_iterator<char>(file), {}};
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    if (argc > 1)
        return 0;
    std::mt19937 random(test::from_environment("FUZZ_SEED", 1));
    const int count = mutations * static_cast<int>(test::from_environment("FUZZ_TIMES", 1));
    const std::vector<Datagram> valid = seeds();
    int accepted = 0;
    for (int i = 0; i < count; ++i)
        accepted += try_datagram(test::with_right_mac(
            mutated(valid[random() % valid.size()], random), test::some_key()));
    std::printf("%d of %d mutated datagrams were accepted under a right MAC\n", accepted, count);
    return accepted > 0 ? 0 : 1;
}

#endif
