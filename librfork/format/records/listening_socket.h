// A TCP or Unix socket that listens.
#pragma once

#include "format/record.h"
#include "format/records/descriptor_slot.h"

namespace rfork::kinds {

// An option that is not what a new socket has, for setsockopt(2).
struct SocketOption {
    std::int32_t level;
    std::int32_t option;
    std::uint32_t size;
    std::uint8_t value[20];
};
static_assert(sizeof(SocketOption) == 32);

inline constexpr std::uint32_t no_socket_file = ~std::uint32_t(0);

// Behind the structure: slots, then options in the order in which they are set.
struct ListeningSocketRecord {
    image::RecordHeader header;
    std::int32_t domain;
    std::int32_t type;
    std::int32_t protocol;
    std::int32_t backlog;
    std::uint32_t flags; // status flags
    std::uint32_t name;  // string
    std::uint32_t mode;  // permissions of a Unix socket's file; no_socket_file: it has none
    std::uint32_t address_size;
    std::uint8_t address[128]; // a struct sockaddr, zeroes behind it
    std::uint32_t slots;
    std::uint32_t options;

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
    const SocketOption* option() const {
        return reinterpret_cast<const SocketOption*>(slot() + slots);
    }
};
static_assert(sizeof(ListeningSocketRecord) == 176);

} // namespace rfork::kinds
