// Where to report that the copy runs; absent when nobody listens.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct MonitorRecord {
    image::RecordHeader header;
    std::uint32_t address; // IPv4, network byte order
    std::uint16_t port;    // network byte order
    std::uint16_t pad;
    std::uint32_t name;         // string: how the program calls itself in reports
    std::uint32_t pid;          // the caller's
    std::uint64_t dump_started; // CLOCK_REALTIME, nanoseconds
};
static_assert(sizeof(MonitorRecord) == 32);

} // namespace rfork::kinds
