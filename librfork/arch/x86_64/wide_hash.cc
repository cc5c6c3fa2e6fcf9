// Compiled for AVX2: nothing but the hash may be in here, since inline functions of other headers
// would be taken by the whole program.
#include "arch/x86_64/wide_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rfork::arch {

std::uint64_t wide_hash(const void* data, std::size_t size) {
    if (size < wide_hash_minimum)
        __builtin_unreachable(); // what is short has code of its own, which is not needed here
    return XXH3_64bits(data, size);
}

void add_to_wide_hash(void* state, const void* data, std::size_t size) {
    XXH3_64bits_update(static_cast<XXH3_state_t*>(state), data, size);
}

} // namespace rfork::arch
