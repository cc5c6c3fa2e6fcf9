#include "base/hash.h"

#include "arch/arch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rfork {
namespace {

XXH3_state_t* as_state(std::byte* state) {
    return reinterpret_cast<XXH3_state_t*>(state);
}

} // namespace

HashUnit::HashUnit() : is_wide_(arch::has_wide_hash()) {}

std::uint64_t hash(std::span<const std::byte> bytes, HashUnit unit) {
    if (unit.is_wide() && bytes.size() >= arch::wide_hash_minimum)
        return arch::wide_hash(bytes.data(), bytes.size());
    return XXH3_64bits(bytes.data(), bytes.size());
}

RunningHash::RunningHash(HashUnit unit) : unit_(unit) {
    static_assert(sizeof state_ == sizeof(XXH3_state_t) && alignof(XXH3_state_t) <= 64);
    XXH3_64bits_reset(as_state(state_));
}

void RunningHash::add(std::span<const std::byte> bytes) {
    if (unit_.is_wide())
        arch::add_to_wide_hash(state_, bytes.data(), bytes.size());
    else
        XXH3_64bits_update(as_state(state_), bytes.data(), bytes.size());
}

std::uint64_t RunningHash::value() const {
    return XXH3_64bits_digest(reinterpret_cast<const XXH3_state_t*>(state_));
}

} // namespace rfork
