// What counts as held in vector registers: a target without them would be refused.
#include "arch/x86_64/machine.h"

#include <catch2/catch.hpp>

#include <cstring>

using namespace rfork;

TEST_CASE("a vector register that holds zeroes is not in use") {
    constexpr std::uint64_t x87_and_sse = 3, avx = 1 << 2, bounds = 1 << 4;
    std::uint8_t area[1200] = {};
    arch::XstateComponent layout[arch::xstate_components] = {};
    layout[2] = {arch::xstate_smallest, 256};
    layout[4] = {960, 64};
    auto says = [&](std::uint64_t components) {
        std::memcpy(area + arch::xstate_bv_offset, &components, sizeof components);
        return arch::xstate_in_use(area, layout);
    };
    CHECK(says(x87_and_sse | avx | bounds) == x87_and_sse);

    area[arch::xstate_smallest + 255] = 1;
    CHECK(says(x87_and_sse | avx | bounds) == (x87_and_sse | avx));
    CHECK(says(bounds) == 0);
    area[960] = 0x80;
    CHECK(says(avx | bounds) == (avx | bounds));
    CHECK(says(0) == 0);
}
