// XXH3 with 64 bits, the checksum of everything in an image: against rotten disks, half copies and
// transmission errors, never against an enemy, who can compute it as well as we can.
//
// libxxhash is used header-only, so that no library of its own travels in self-contained images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rfork {

inline std::uint64_t hash(std::span<const std::byte> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

// The same over bytes that arrive in pieces.
class RunningHash {
  public:
    RunningHash() { XXH3_64bits_reset(&state_); }
    void add(std::span<const std::byte> bytes) {
        XXH3_64bits_update(&state_, bytes.data(), bytes.size());
    }
    std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

  private:
    XXH3_state_t state_;
};

} // namespace rfork
