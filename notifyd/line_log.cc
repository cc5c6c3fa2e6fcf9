#include "notifyd/line_log.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace notifyd {

rfork::Result<void> LineLog::open() {
    if (path_.empty())
        return {};
    rfork::UniqueFd file(
        ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644));
    if (!file)
        return rfork::system_error(errno, "cannot open the log " + path_);
    file_ = std::move(file);
    return {};
}

void LineLog::write(std::string_view line) {
    int fd = path_.empty() ? STDOUT_FILENO : file_.get();
    ssize_t written;
    while ((written = ::write(fd, line.data(), line.size())) < 0 && errno == EINTR) {
    }
    if (written == static_cast<ssize_t>(line.size())) {
        if (failing_)
            std::fputs("notifyd: the log can be written again\n", stderr);
        failing_ = false;
        return;
    }
    if (!failing_)
        std::fprintf(stderr, "notifyd: cannot write the log: %s: lines are lost until it can\n",
                     std::string(rfork::errno_text(written < 0 ? errno : ENOSPC)).c_str());
    failing_ = true;
}

} // namespace notifyd
