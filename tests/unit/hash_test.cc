#include "base/hash.h"

#include "arch/arch.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

using rfork::HashUnit;
using rfork::RunningHash;

namespace {

std::vector<std::byte> some_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::uint64_t state = 1;
    for (std::byte& b : bytes)
        b = std::byte((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
    return bytes;
}

} // namespace

TEST_CASE("Every CPU's hash is XXH3, whatever the size") {
    const std::vector<std::byte> all = some_bytes(300'000);
    const HashUnit unit;
    for (std::size_t size :
         {0, 1, 16, 128, 240, 241, 255, 256, 257, 1024, 4096, 65536, 262144, 300'000}) {
        const auto bytes = std::span(all).first(size);
        const std::uint64_t expected = XXH3_64bits(bytes.data(), size);
        CHECK(rfork::hash(bytes, unit) == expected);
        if (rfork::arch::has_wide_hash() && size >= rfork::arch::wide_hash_minimum)
            CHECK(rfork::arch::wide_hash(bytes.data(), size) == expected);
    }
}

TEST_CASE("A hash of pieces is that of the whole, by either unit") {
    const std::vector<std::byte> all = some_bytes(300'000);
    const std::uint64_t expected = XXH3_64bits(all.data(), all.size());
    for (std::size_t piece : {1, 7, 256, 1000, 65536}) {
        RunningHash running;
        for (std::size_t at = 0; at < all.size(); at += piece)
            running.add(std::span(all).subspan(at, std::min(piece, all.size() - at)));
        CHECK(running.value() == expected);
    }
}
