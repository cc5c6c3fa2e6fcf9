// Messages of strangers, made fit for one line of a log or terminal.
#pragma once

#include <string>
#include <string_view>

namespace notifyd {

// Text stays as it is, in any language; everything else becomes visible: "\n", "\t", "\r", "\\",
// and
// "\x1b" for each byte of other control characters (those of C0, of C1, and DEL) and of what is not
// UTF-8 (Unicode 15.0, table 3-7: no overlong forms, no surrogates, nothing beyond U+10FFFF).
std::string escape(std::string_view message);

} // namespace notifyd
