// An eventfd(2) with its counter.
#pragma once

#include "format/object.h"

namespace rfork::kinds {

struct EventFdRecord {
    image::ObjectHeader object;
    std::uint64_t count;
    std::uint32_t semaphore; // 0 or 1: EFD_SEMAPHORE
    std::uint32_t pad;
};
static_assert(sizeof(EventFdRecord) == 40);

} // namespace rfork::kinds
