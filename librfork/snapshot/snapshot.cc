#include "snapshot/snapshot.h"

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

} // namespace rfork::capture
