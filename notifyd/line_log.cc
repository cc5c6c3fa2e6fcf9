#include "notifyd/line_log.h"

#include "base/daemon_log.h"

#include <cerrno>
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

bool LineLog::is_terminal() const {
    return path_.empty() && ::isatty(STDOUT_FILENO);
}

void LineLog::write(std::string_view line) {
    int fd = path_.empty() ? STDOUT_FILENO : file_.get();
    ssize_t written;
    while ((written = ::write(fd, line.data(), line.size())) < 0 && errno == EINTR) {
    }
    if (written == static_cast<ssize_t>(line.size())) {
        if (failing_)
            rfork::log("notifyd", rfork::Level::notice, "the log can be written again");
        failing_ = false;
        return;
    }
    if (!failing_)
        rfork::log("notifyd", rfork::Level::error,
                   "cannot write the log: " +
                       std::string(rfork::errno_text(written < 0 ? errno : ENOSPC)) +
                       ": lines are lost until it can");
    failing_ = true;
}

} // namespace notifyd
