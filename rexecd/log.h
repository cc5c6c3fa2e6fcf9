// Lines on standard error, each with one write(2). Under systemd they start with "<6>" and the
// like, which the journal takes for the level (sd-daemon(3)).
#pragma once

#include <string_view>

namespace rexecd {

enum class Level { error = 3, warning = 4, notice = 5, info = 6 };

// Control characters in the sentence, parts of which may come from a stranger's image, become '?'.
void log(Level level, std::string_view sentence);

} // namespace rexecd
