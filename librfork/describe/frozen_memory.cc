#include "describe/frozen_memory.h"

#include <algorithm>
#include <unistd.h>

namespace rfork::tool {

std::string frozen_memory(const FrozenProgram& program, std::uint64_t address, std::size_t size) {
    std::string memory(size, '\0');
    const std::uint64_t end = address + size;
    const auto extents = program.image.extents(program.process);
    auto extent = std::ranges::partition_point(
        extents, [=](const image::Extent& other) { return other.end() <= address; });
    for (; extent != extents.end() && extent->at < end; ++extent) {
        std::uint64_t from = std::max(address, extent->at);
        std::uint64_t to = std::min(end, extent->end());
        if (extent->backing == 0) {
            auto offset = static_cast<off_t>(extent->offset + (from - extent->at));
            (void)!::pread(program.fd, memory.data() + (from - address), to - from, offset);
        }
    }
    return memory;
}

} // namespace rfork::tool
