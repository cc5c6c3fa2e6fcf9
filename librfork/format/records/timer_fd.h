// A timerfd_create(2), not armed yet; see timer_fd_setting.
#pragma once

#include "format/record.h"
#include "format/records/descriptor_slot.h"

namespace rfork::kinds {

struct TimerFdRecord {
    image::RecordHeader header;
    std::int32_t clock;
    std::uint32_t flags; // status flags
    std::uint32_t name;  // string
    std::uint32_t slots; // DescriptorSlot[slots] follow

    const DescriptorSlot* slot() const { return reinterpret_cast<const DescriptorSlot*>(this + 1); }
};
static_assert(sizeof(TimerFdRecord) == 24);

} // namespace rfork::kinds
