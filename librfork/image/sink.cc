#include "image/sink.h"

#include "arch/arch.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::image {
namespace {

Error cannot_write(int error) {
    if (error == EPIPE)
        return {EPIPE, "whoever was reading the image has stopped: have all of it read"};
    return system_error(error, "cannot write the image");
}

// How much of what was written into a pipe has not been read, or -errno.
long unread_in(int pipe) {
    int bytes = 0;
    const long r = arch::syscall(SYS_ioctl, pipe, FIONREAD, &bytes);
    return r < 0 ? r : bytes;
}

} // namespace

DescriptorSink::DescriptorSink(int fd, int patience_ms) : fd_(fd), patience_ms_(patience_ms) {
    struct stat st {};
    has_holes_ = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

// With a reader, who may be slow, but not stand still.
class DescriptorSink::Patience {
  public:
    Patience(int pipe, int limit_ms) : pipe_(pipe), limit_ms_(limit_ms), unread_(unread_in(pipe)) {}

    // Until `events`, but no longer than `pause_ms`.
    Result<bool> wait_for(short events, int pause_ms) {
        pollfd pipe{pipe_, events, 0};
        if (arch::syscall(SYS_poll, &pipe, 1, pause_ms) != 0)
            return true;
        const long unread = unread_in(pipe_);
        waited_ms_ = unread == unread_ ? waited_ms_ + pause_ms : 0;
        unread_ = unread;
        if (limit_ms_ < 0 || waited_ms_ < limit_ms_)
            return false;
        return Error{ETIMEDOUT, "whoever reads the image has taken nothing of it for " +
                                    std::to_string(waited_ms_) +
                                    " ms: have it read, or have more patience (RFORK_TIMEOUT_MS)"};
    }

  private:
    int pipe_, limit_ms_;
    long unread_;
    int waited_ms_ = 0;
};

// By system call: errno is part of the program's memory, and stays as it is to be.
Result<void> DescriptorSink::write(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const long put = arch::syscall(SYS_write, fd_, bytes.data(), bytes.size());
        if (put == -EAGAIN) {
            if (Result<void> r = wait_for_room(); !r)
                return r;
        } else if (put == 0 || (put < 0 && put != -EINTR)) {
            return cannot_write(put < 0 ? int(-put) : EIO);
        } else if (put > 0) {
            bytes = bytes.subspan(std::size_t(put));
        }
    }
    return {};
}

Result<void> DescriptorSink::wait_for_room() {
    constexpr int pause_ms = 500;
    for (Patience patience(fd_, patience_ms_);;) {
        const Result<bool> room = patience.wait_for(POLLOUT, pause_ms);
        if (!room)
            return room.error();
        if (*room)
            return {};
    }
}

// No event tells that a pipe has become empty, but one that its reader is gone.
Result<void> DescriptorSink::wait_until_read() {
    constexpr int first_pause_ms = 1, longest_pause_ms = 50;
    Patience patience(fd_, patience_ms_);
    for (int pause_ms = first_pause_ms;; pause_ms = std::min(2 * pause_ms, longest_pause_ms)) {
        const long unread = unread_in(fd_);
        if (unread < 0)
            return system_error(int(-unread), "cannot find out whether the image has been read");
        if (unread == 0)
            return {};
        const Result<bool> gone = patience.wait_for(0, pause_ms);
        if (!gone)
            return gone.error();
        if (*gone && unread_in(fd_) > 0)
            return cannot_write(EPIPE);
    }
}

Result<void> DescriptorSink::write_zeroes(std::uint64_t count) {
    if (has_holes_) {
        const long r = arch::syscall(SYS_lseek, fd_, count, SEEK_CUR);
        return r < 0 ? cannot_write(int(-r)) : Result<void>();
    }
    static constexpr std::uint8_t zeroes[4096] = {};
    while (count > 0) {
        const auto piece = std::size_t(std::min<std::uint64_t>(count, sizeof zeroes));
        if (Result<void> r = write({zeroes, piece}); !r)
            return r;
        count -= piece;
    }
    return {};
}

} // namespace rfork::image
