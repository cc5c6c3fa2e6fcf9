#include "snapshot/file_contents.h"

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

constexpr char cannot_copy[] = "cannot copy a deleted file that the process has open";

// The next part from `at` on that is not a hole; empty at the end. A file system that knows of no
// holes has none.
Range next_data(int fd, std::uint64_t at, std::uint64_t size) {
    const off_t data = lseek(fd, off_t(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return {size, size};
    const std::uint64_t start = data < 0 ? at : std::uint64_t(data);
    const off_t hole = lseek(fd, off_t(start), SEEK_HOLE);
    return {std::min(start, size), hole < 0 ? size : std::min(std::uint64_t(hole), size)};
}

std::uint64_t page_up(std::uint64_t size) {
    return (size + image::page_size - 1) / image::page_size * image::page_size;
}

} // namespace

Result<FileContents> FileContents::make(std::uint32_t object, std::uint64_t size) {
    constexpr unsigned noexec_seal = 8; // MFD_NOEXEC_SEAL, which some machines insist on
    UniqueFd fd(memfd_create("rfork", MFD_CLOEXEC));
    if (!fd && errno == EACCES)
        fd.reset(memfd_create("rfork", MFD_CLOEXEC | noexec_seal));
    if (!fd || ftruncate(fd.get(), off_t(page_up(size))) != 0)
        return system_error(errno, cannot_copy);
    return FileContents(object, size, std::move(fd));
}

Result<void> FileContents::copy_from(int fd, bool seeks) {
    if (!seeks)
        return copy(fd, 0, 0, size_);
    for (Range part{0, 0}; part.end < size_;) {
        part = next_data(fd, part.end, size_);
        if (Result<void> r = copy(fd, part.start, part.start, part.size()); !r)
            return r;
    }
    return {};
}

Result<void> FileContents::copy(int fd, std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    buffer_.resize(image::extent_limit);
    for (std::uint64_t done = 0; done < size;) {
        const ssize_t got = pread(fd, buffer_.data(), std::min(size - done, image::extent_limit),
                                  off_t(from + done));
        if (got == 0) // somebody has cut it off
            return {};
        if (got < 0 || pwrite(fd_.get(), buffer_.data(), std::size_t(got), off_t(to + done)) != got)
            return system_error(errno, cannot_copy);
        done += std::uint64_t(got);
    }
    return {};
}

image::Mapping FileContents::whole() const {
    image::Mapping mapping{};
    mapping.end = page_up(size_);
    return mapping;
}

Result<void> FileContents::find_pages(const image::Mapping& mapping, std::vector<Range>& pages) {
    for (Range part{mapping.start, mapping.start}; part.end < mapping.end;) {
        part = next_data(fd_.get(), part.end, mapping.end);
        if (part.size())
            pages.push_back(part);
    }
    return {};
}

Result<std::span<const std::uint8_t>> FileContents::bytes(Range range) {
    buffer_.resize(range.size());
    const Result<std::uint64_t> got = read(range, buffer_.data());
    if (!got)
        return got.error();
    return std::span<const std::uint8_t>(buffer_);
}

Result<std::uint64_t> FileContents::read(Range range, std::uint8_t* to) {
    for (std::uint64_t done = 0; done < range.size();) {
        const ssize_t got =
            pread(fd_.get(), to + done, range.size() - done, off_t(range.start + done));
        if (got <= 0)
            return system_error(got < 0 ? errno : EIO, cannot_copy);
        done += std::uint64_t(got);
    }
    return range.size();
}

} // namespace rfork::capture
