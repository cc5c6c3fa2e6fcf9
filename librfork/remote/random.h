// Random bytes from the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/random.h>

namespace rfork::remote {

// getrandom(2) without flags has no errors but EINTR once the kernel's generator is seeded, which
// the call itself waits for.
inline void fill_random(std::span<std::uint8_t> bytes) {
    while (!bytes.empty()) {
        ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got > 0)
            bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
}

} // namespace rfork::remote
