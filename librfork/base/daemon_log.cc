#include "base/daemon_log.h"

#include "base/printable.h"

#include <cstdio>
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

namespace rfork {

bool is_journal(int fd) {
    const char* stream = std::getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream && std::sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           ::fstat(fd, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log(std::string_view program, Level level, std::string_view sentence) {
    static const bool journal = is_journal(STDERR_FILENO);
    std::string line;
    if (journal)
        line.append({'<', static_cast<char>('0' + static_cast<int>(level)), '>'});
    line.append(program).append(": ").append(one_line(sentence)).append("\n");
    // Where nobody reads the log, nothing can be done about it.
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace rfork
