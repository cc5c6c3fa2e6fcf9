// A descriptor of an open file description: records of all kinds of those end in a list of them.
#pragma once

#include <cstdint>

namespace rfork::kinds {

struct DescriptorSlot {
    std::int32_t fd;
    std::uint32_t close_on_exec;
};

} // namespace rfork::kinds
