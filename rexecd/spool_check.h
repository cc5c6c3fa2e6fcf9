// What can be said of a spool before anybody wants to run something from it.
#pragma once

#include <string>

namespace rexecd {

// A sentence when no image can ever run from there as it is set up: no directory, or one in which
// those whom we serve may not make theirs; "" otherwise. What a mount can put right while we run is
// only a warning in the log. Touches nothing but the directory itself.
std::string check_spool(const std::string& path, bool allow_root);

} // namespace rexecd
