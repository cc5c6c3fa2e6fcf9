// A signalfd(2). The signals that wait are those of the process and its threads.
#pragma once

#include "format/record.h"
#include "format/records/descriptor_slot.h"

namespace rfork::kinds {

struct SignalFdRecord {
    image::RecordHeader header;
    std::uint64_t mask;  // the signals it takes, bit 0 for signal 1
    std::uint32_t flags; // status flags
    std::uint32_t name;  // string
    std::uint32_t slots; // DescriptorSlot[slots] follow
    std::uint32_t pad;

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
};
static_assert(sizeof(SignalFdRecord) == 32);

} // namespace rfork::kinds
