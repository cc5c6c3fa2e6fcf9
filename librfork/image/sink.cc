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

// How much of what was written into a pipe has not been read.
int unread_in(int pipe) {
    int bytes = 0;
    return arch::syscall(SYS_ioctl, pipe, FIONREAD, &bytes) == 0 ? bytes : 0;
}

} // namespace

DescriptorSink::DescriptorSink(int fd, int patience_ms) : fd_(fd), patience_ms_(patience_ms) {
    struct stat st {};
    has_holes_ = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

// By system call: errno is part of the program's memory, and stays as it is to be.
Result<void> DescriptorSink::write(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const long put = arch::syscall(SYS_write, fd_, bytes.data(), bytes.size());
        if (put == -EAGAIN) {
            pollfd room{fd_, POLLOUT, 0};
            if (arch::syscall(SYS_poll, &room, 1, patience_ms_) == 0)
                return reader_is_slow();
        } else if (put == 0 || (put < 0 && put != -EINTR)) {
            return cannot_write(put < 0 ? int(-put) : EIO);
        } else if (put > 0) {
            bytes = bytes.subspan(std::size_t(put));
        }
    }
    return {};
}

Error DescriptorSink::reader_is_slow() const {
    return {ETIMEDOUT, "whoever reads the image has taken nothing of it for " +
                           std::to_string(patience_ms_) +
                           " ms: have it read, or have more patience (RFORK_TIMEOUT_MS)"};
}

// No event tells that a pipe has become empty, but one that its reader is gone.
Result<void> DescriptorSink::wait_until_read() {
    constexpr int first_pause_ms = 1, longest_pause_ms = 50;
    int before = 0, waited_ms = 0, pause_ms = first_pause_ms;
    while (const int unread = unread_in(fd_)) {
        waited_ms = unread == before ? waited_ms + pause_ms : 0;
        before = unread;
        if (patience_ms_ >= 0 && waited_ms > patience_ms_)
            return reader_is_slow();
        pollfd gone{fd_, 0, 0};
        if (arch::syscall(SYS_poll, &gone, 1, pause_ms) > 0 && unread_in(fd_) > 0)
            return cannot_write(EPIPE);
        pause_ms = std::min(2 * pause_ms, longest_pause_ms);
    }
    return {};
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
