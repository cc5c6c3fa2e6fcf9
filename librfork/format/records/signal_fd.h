// A signalfd(2). The signals that wait are those of the process and its threads.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

struct SignalFdRecord {
    image::ObjectHeader object;
    std::uint64_t mask; // the signals it takes, bit 0 for signal 1
};
static_assert(sizeof(SignalFdRecord) == 32);

} // namespace rfork::kinds
