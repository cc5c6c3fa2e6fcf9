// What happens on each signal: handler, mask, flags and restorer, as the kernel's own structure has
// them (the libc's differs).
#pragma once

#include "format/record.h"

namespace rfork::kinds {

inline constexpr unsigned signal_count = 64;

struct SignalAction {
    std::uint64_t handler;
    std::uint64_t flags;
    std::uint64_t restorer;
    std::uint64_t mask;
};

struct SignalActionsRecord {
    image::RecordHeader header;
    SignalAction actions[signal_count]; // [0] is signal 1
};
static_assert(sizeof(SignalActionsRecord) == 8 + 64 * 32);

} // namespace rfork::kinds
