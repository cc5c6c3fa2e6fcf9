// An epoll instance, and what it watches.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

inline constexpr std::uint32_t epoll_stream = 1; // a standard stream, which the copy may not have
inline constexpr std::uint32_t epoll_quiet = 2;  // nobody outside can make it ready

struct EpollEntry {
    std::int32_t number; // the descriptor with which it was added
    std::uint32_t file;  // the object
    std::uint32_t events;
    std::uint32_t flags;     // epoll_stream, epoll_quiet
    std::uint64_t data;      // what epoll_wait(2) gives out
    std::uint32_t other_end; // of a pipe: the object at its other end; else 0
    std::uint32_t pad;
};
static_assert(sizeof(EpollEntry) == 32);

// Behind the structure: the entries.
struct EpollRecord {
    image::ObjectHeader object;
    std::uint32_t ready; // 0: it had nothing to tell; 1: it had, or that is not known
    std::uint32_t entries;

    const EpollEntry* entry() const { return reinterpret_cast<const EpollEntry*>(this + 1); }
};
static_assert(sizeof(EpollRecord) == 32);

} // namespace rfork::kinds
