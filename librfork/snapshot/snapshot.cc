#include "snapshot/snapshot.h"

#include <algorithm>

namespace rfork::capture {

std::uint32_t StringTable::add(std::string_view text) {
    if (text.empty())
        return 0;
    if (at(last_) == text)
        return last_;
    last_ = std::uint32_t(bytes_.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    bytes_.push_back('\0');
    return last_;
}

SharedMemory* Snapshot::find_shared_memory(std::uint32_t object) {
    const auto found =
        std::partition_point(shared_memory.begin(), shared_memory.end(),
                             [object](const SharedMemory& memory) { return memory.id < object; });
    return found != shared_memory.end() && found->id == object ? &*found : nullptr;
}

} // namespace rfork::capture
