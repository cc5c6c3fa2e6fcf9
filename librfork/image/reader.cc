// The strict reader; reader.h says what each depth promises.
//
// Nothing is believed before it is checked, and checks come in the order in which their subjects
// are needed: the ELF header gives the program headers (check_front.cc), the second PT_LOAD among
// them gives the Header, the Header gives the extent of everything else (check_header.cc), and then
// the tables can be walked (check_tables.cc).
//
// Only when the structure is plausible do the two checksums decide whether the bytes are the ones
// that were written; together they cover all that the stub works from, except the pages, each of
// whose extents has a checksum of its own.

#include "image/reader.h"

#include "base/hash.h"
#include "image/check_front.h"
#include "image/check_header.h"
#include "image/check_tables.h"
#include "image/checks.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace rfork::image {
namespace {

constexpr std::size_t piece = 64 * 1024;

using Buffer = std::vector<std::byte>;

// Sizes are checked before, so an early end means that somebody cut the file short since.
Result<void> read_exactly(int fd, std::span<std::byte> to, std::uint64_t offset) {
    while (!to.empty()) {
        ssize_t n = ::pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return system_error(errno, "cannot read the image");
        if (n == 0)
            return damaged("it ends while it is being read");
        to = to.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

Result<void> hash_range(int fd, std::uint64_t offset, std::uint64_t size, RunningHash& hash) {
    Buffer buffer(std::min<std::uint64_t>(size, piece));
    while (size != 0) {
        auto bytes = std::span(buffer).first(std::min<std::uint64_t>(size, buffer.size()));
        if (auto read = read_exactly(fd, bytes, offset); !read)
            return read;
        hash.add(bytes);
        offset += bytes.size();
        size -= bytes.size();
    }
    return {};
}

// The metadata's checksum lies in the metadata, and counts as zero there.
Header without_checksum(Header header) {
    header.metadata_hash = 0;
    return header;
}

Error wrong_metadata_hash() {
    return damaged("the checksum of its metadata is wrong");
}

// Everything but the checksum of the metadata, which is taken while they are read, one way or the
// other.
Result<Header> read_checked_header(int fd) {
    struct stat status;
    if (::fstat(fd, &status) != 0)
        return system_error(errno, "cannot stat the image");
    if (!S_ISREG(status.st_mode))
        return not_an_image("it is no regular file");
    auto size = static_cast<std::uint64_t>(status.st_size);

    std::array<std::byte, page_size> buffer;
    auto page = std::span(buffer).first(std::min<std::uint64_t>(size, page_size));
    if (auto read = read_exactly(fd, page, 0); !read)
        return read.error();
    auto front = parse_front(page);
    if (!front)
        return front.error();

    std::uint64_t offset = front->metadata.p_offset;
    if (offset < page_size || offset > front_limit)
        return not_an_image("it is an ordinary executable");
    if (!fits(offset, sizeof(Header), size))
        return damaged("it ends before its metadata begin");
    Header header;
    if (auto read = read_exactly(fd, std::as_writable_bytes(std::span(&header, 1)), offset); !read)
        return read.error();

    if (auto checked = check_header(header, *front, size); !checked)
        return checked.error();

    RunningHash hash;
    hash.add(page);
    if (auto hashed = hash_range(fd, page_size, offset - page_size, hash); !hashed)
        return hashed.error();
    if (hash.value() != header.front_hash)
        return damaged("the checksum of its code is wrong");
    return header;
}

} // namespace

std::optional<std::string_view> Image::string(std::uint32_t offset) const {
    auto strings = table<char>(header_.strings);
    if (offset >= strings.size())
        return std::nullopt;
    return std::string_view(strings.data() + offset);
}

Result<Header> read_front(int fd) {
    auto header = read_checked_header(fd);
    if (!header)
        return header;
    Header hashed_as = without_checksum(*header);
    RunningHash hash;
    hash.add(std::as_bytes(std::span(&hashed_as, 1)));
    if (auto hashed = hash_range(fd, header->metadata_offset + sizeof(Header),
                                 header->metadata_size - sizeof(Header), hash);
        !hashed)
        return hashed.error();
    if (hash.value() != header->metadata_hash)
        return wrong_metadata_hash();
    return header;
}

Result<Image> read_image(int fd) {
    auto header = read_checked_header(fd);
    if (!header)
        return header.error();

    Buffer metadata(header->metadata_size);
    if (auto read = read_exactly(fd, metadata, header->metadata_offset); !read)
        return read.error();
    // The file may have changed since its header was checked: that header is the one that counts.
    Header hashed_as = without_checksum(*header);
    std::memcpy(metadata.data(), &hashed_as, sizeof hashed_as);
    if (hash(metadata) != header->metadata_hash)
        return wrong_metadata_hash();

    Image image(*header, std::move(metadata));
    if (auto checked = check_tables(image); !checked)
        return checked.error();
    return image;
}

Result<void> verify_extent(int fd, const Extent& extent, std::span<std::byte> buffer,
                           HashUnit unit) {
    auto bytes = buffer.first(extent.size);
    if (auto read = read_exactly(fd, bytes, extent.file_offset); !read)
        return read;
    if (hash(bytes, unit) != extent.hash)
        return damaged("the checksum of its memory at file offset " +
                       std::to_string(extent.file_offset) + " is wrong");
    return {};
}

Result<void> verify_pages(int fd, const Image& image) {
    Buffer buffer(extent_limit);
    const HashUnit unit;
    for (const Extent& extent : image.extents()) {
        if (auto verified = verify_extent(fd, extent, buffer, unit); !verified)
            return verified;
    }
    return {};
}

} // namespace rfork::image
