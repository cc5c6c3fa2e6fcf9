#include "rexecd/log.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace rexecd {

void log(Level level, std::string_view sentence) {
    static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    std::string line;
    if (journal)
        line.append({'<', static_cast<char>('0' + static_cast<int>(level)), '>'});
    line += "rexecd: ";
    line += sentence;
    std::replace_if(
        line.begin(), line.end(),
        [](char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; },
        '?');
    line += '\n';
    // Where nobody reads the log, nothing can be done about it.
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace rexecd
