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

// Whether a file that belongs to `user` can be that one, for a process of user `self`. A user
// namespace of the process's own makes all other users nobody; then it is enough that the file is
// not, or still is, the process's.
inline bool is_owner(const Owner& owner, std::uint32_t user, std::uint32_t self) {
    switch (owner.ownership) {
    case Ownership::own:
        return user == self || user == owner.user || (user == nobody && self != owner.user);
    case Ownership::another:
        return user == owner.user || user == nobody;
    case Ownership::unknown:
        return true;
    }
    return true;
}

} // namespace rfork::kinds
