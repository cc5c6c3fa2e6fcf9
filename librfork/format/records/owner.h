// Whose a file was. In a user namespace, as that in which an ordinary user's process keeps its pid,
// all others look the same (nobody's), and which of them it was is not known.
#pragma once

#include <cstdint>

namespace rfork::kinds {

enum class Ownership : std::uint32_t {
    own = 1, // the process's
    another = 2,
    unknown = 3,
};

struct Owner {
    std::uint32_t user;
    Ownership ownership;
};

inline constexpr std::uint32_t nobody = 65534; // Linux: /proc/sys/kernel/overflowuid

} // namespace rfork::kinds
