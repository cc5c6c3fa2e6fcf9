#include "snapshot/open_description.h"

namespace rfork::capture {

std::string label(const OpenDescription& d) {
    return "descriptor " + std::to_string(d.number()) + " (" + d.path + ")";
}

} // namespace rfork::capture
