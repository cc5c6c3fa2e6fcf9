// An epoll instance, and what it watches.
#pragma once

#include "format/record.h"
#include "format/records/descriptor_slot.h"

namespace rfork::kinds {

inline constexpr std::uint32_t epoll_stream = 1; // a standard stream, which the copy may not have
inline constexpr std::uint32_t epoll_quiet = 2;  // nobody outside can make it ready

struct EpollEntry {
    std::int32_t number; // the descriptor with which it was added
    std::int32_t file;   // one that the file has now; the same number, unless that was closed
    std::uint32_t events;
    std::uint32_t flags;    // epoll_stream, epoll_quiet
    std::uint64_t data;     // what epoll_wait(2) gives out
    std::int32_t other_end; // of a pipe, one of its other end; else -1
    std::uint32_t pad;
};
static_assert(sizeof(EpollEntry) == 32);

// Behind the structure: slots, then entries.
struct EpollRecord {
    image::RecordHeader header;
    std::uint32_t flags; // status flags
    std::uint32_t ready; // 0: it had nothing to tell; 1: it had, or that is not known
    std::uint32_t name;  // string
    std::uint32_t slots;
    std::uint32_t entries;
    std::uint32_t pad;

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
    const EpollEntry* entry() const { return reinterpret_cast<const EpollEntry*>(slot() + slots); }
};
static_assert(sizeof(EpollRecord) == 32);

} // namespace rfork::kinds
