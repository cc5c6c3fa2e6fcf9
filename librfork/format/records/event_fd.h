// An eventfd(2) with its counter.
#pragma once

#include "format/record.h"
#include "format/records/descriptor_slot.h"

namespace rfork::kinds {

struct EventFdRecord {
    image::RecordHeader header;
    std::uint64_t count;
    std::uint32_t semaphore; // 0 or 1: EFD_SEMAPHORE
    std::uint32_t flags;     // status flags
    std::uint32_t name;      // string
    std::uint32_t slots;     // DescriptorSlot[slots] follow

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
};
static_assert(sizeof(EventFdRecord) == 32);

} // namespace rfork::kinds
