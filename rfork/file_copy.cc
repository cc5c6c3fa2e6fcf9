// Three ways, from best to always possible: share the blocks (btrfs, XFS), let the kernel copy,
// copy ourselves. The last two go from one run of data to the next, because an image
// may have holes where a mapped file ended early.

#include "file_copy.h"

#include <algorithm>
#include <cerrno>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace rfork::tool {
namespace {

constexpr std::size_t piece = 1024 * 1024;
constexpr std::size_t kernel_piece = 32 * piece; // then it is time to tell how far we are

// Bytes copied, or -1 where the kernel cannot copy between these two files.
ssize_t copy_in_kernel(int from, int to, off_t offset, std::size_t size) {
    off_t from_offset = offset, to_offset = offset;
    return ::copy_file_range(from, &from_offset, to, &to_offset, std::min(size, kernel_piece), 0);
}

ssize_t copy_by_hand(int from, int to, off_t offset, std::size_t size) {
    static std::vector<char> buffer(piece);
    ssize_t n = ::pread(from, buffer.data(), std::min(size, buffer.size()), offset);
    return n <= 0 ? n : ::pwrite(to, buffer.data(), static_cast<std::size_t>(n), offset);
}

struct Told { // to whoever watches
    Progress& progress;
    std::uint64_t size;
};

Result<void> copy_run(int from, int to, off_t offset, off_t end, const Told& told) {
    bool kernel_can = true;
    while (offset < end) {
        auto size = static_cast<std::size_t>(end - offset);
        ssize_t n = kernel_can ? copy_in_kernel(from, to, offset, size)
                               : copy_by_hand(from, to, offset, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0) {
            offset += n;
            told.progress.at_byte(static_cast<std::uint64_t>(offset), told.size);
        } else if (kernel_can) {
            kernel_can = false; // EXDEV, ENOSYS, EINVAL; a true error comes again by hand
        } else {
            return n == 0 ? Error{EIO, "the file ended while it was being copied"}
                          : system_error(errno, "the copying failed");
        }
    }
    return {};
}

} // namespace

Result<void> copy_file(int from, int to, std::uint64_t size, Progress& progress) {
    if (::ioctl(to, FICLONE, from) == 0)
        return {};
    auto end = static_cast<off_t>(size);
    if (::ftruncate(to, end) != 0)
        return system_error(errno, "cannot make the copy as long as the original");
    for (off_t data = 0; data < end;) {
        data = ::lseek(from, data, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return {}; // nothing but a hole up to the end
        off_t hole = data < 0 ? -1 : ::lseek(from, data, SEEK_HOLE);
        if (hole < 0) { // a file system that cannot tell: all is data
            data = 0;
            hole = end;
        }
        if (auto copied = copy_run(from, to, data, std::min(hole, end), {progress, size}); !copied)
            return copied;
        data = hole;
    }
    return {};
}

} // namespace rfork::tool
