#include "image/sink.h"

#include "arch/arch.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
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

} // namespace

DescriptorSink::DescriptorSink(int fd) : fd_(fd) {
    struct stat st {};
    has_holes_ = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

// By system call: errno is part of the program's memory, and stays as it is to be.
Result<void> DescriptorSink::write(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const long put = arch::syscall(SYS_write, fd_, bytes.data(), bytes.size());
        if (put == -EAGAIN) { // somebody else has made it nonblocking
            pollfd room{fd_, POLLOUT, 0};
            arch::syscall(SYS_poll, &room, 1, -1);
        } else if (put == 0 || (put < 0 && put != -EINTR)) {
            return cannot_write(put < 0 ? int(-put) : EIO);
        } else if (put > 0) {
            bytes = bytes.subspan(std::size_t(put));
        }
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
