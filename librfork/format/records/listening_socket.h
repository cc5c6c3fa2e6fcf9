// A TCP or Unix socket that listens.
#pragma once

#include "format/object.h"

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

// Behind the structure: options, in the order in which they are set.
struct ListeningSocketRecord {
    image::ObjectHeader object;
    std::int32_t domain;
    std::int32_t type;
    std::int32_t protocol;
    std::int32_t backlog;
    std::uint32_t mode; // permissions of a Unix socket's file; no_socket_file: it has none
    std::uint32_t address_size;
    std::uint8_t address[128]; // a struct sockaddr, zeroes behind it
    std::uint32_t options;
    std::uint32_t pad;

    const SocketOption* option() const { return reinterpret_cast<const SocketOption*>(this + 1); }
};
static_assert(sizeof(ListeningSocketRecord) == 184);

} // namespace rfork::kinds
