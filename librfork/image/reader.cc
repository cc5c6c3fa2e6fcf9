// The strict reader; reader.h says what each depth promises.
//
// Nothing is believed before it is checked, and checks come in the order in which their subjects
// are needed: the ELF header gives the program headers (check_front.cc), the second PT_LOAD among
// them gives the Header, the Header gives the extent of everything else (check_header.cc), and then
// the tables can be walked (check_tables.cc).
//
// Only when the structure is plausible do the checksums decide whether the bytes are the ones that
// were written. Two of them cover all that the stub works from, except the pages, each of whose
// extents has a checksum of its own behind the pages; those have one in the closing record, which
// also tells that the file is complete.

#include "image/reader.h"

#include "base/hash.h"
#include "image/check_front.h"
#include "image/check_header.h"
#include "image/check_sections.h"
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

// Its hash of the hashes is looked at when these are read.
Result<Closing> read_closing(int fd, const Header& header) {
    Closing closing;
    if (auto read = read_exactly(fd, std::as_writable_bytes(std::span(&closing, 1)),
                                 header.file_size - sizeof closing);
        !read)
        return read.error();
    return closing;
}

Result<void> check_closing(int fd, const Header& header) {
    const Result<Closing> closing = read_closing(fd, header);
    if (!closing)
        return closing.error();
    if (std::memcmp(closing->magic, closing_magic, sizeof closing->magic) != 0 ||
        std::memcmp(&closing->id, &header.id, sizeof header.id) != 0 ||
        closing->file_size != header.file_size)
        return damaged("it does not end with its closing record");
    return {};
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
    if (auto checked = check_closing(fd, header); !checked)
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

Image::Image(const Header& header, std::vector<std::byte> metadata)
    : header_(header), metadata_(std::move(metadata)) {
    for (const Section& s : sections())
        by_kind_.push_back(&s);
    std::sort(by_kind_.begin(), by_kind_.end(), [](const Section* a, const Section* b) {
        return a->kind != b->kind ? a->kind < b->kind : a->owner < b->owner;
    });
}

std::span<const Section* const> Image::sections(SectionKind kind) const {
    const auto first = std::partition_point(by_kind_.begin(), by_kind_.end(),
                                            [kind](const Section* s) { return s->kind < kind; });
    const auto last = std::partition_point(first, by_kind_.end(),
                                           [kind](const Section* s) { return s->kind == kind; });
    return {first, last};
}

std::span<const Section* const> Image::sections(SectionKind kind, std::uint32_t owner) const {
    const auto all = sections(kind);
    const auto first = std::partition_point(all.begin(), all.end(),
                                            [owner](const Section* s) { return s->owner < owner; });
    const auto last = std::partition_point(first, all.end(),
                                           [owner](const Section* s) { return s->owner == owner; });
    return {first, last};
}

const Section* Image::section(SectionKind kind, std::uint32_t owner) const {
    const auto there = sections(kind, owner);
    return there.empty() ? nullptr : there.front();
}

std::optional<std::string_view> Image::string(std::uint32_t offset, std::size_t most) const {
    auto strings = table<char>(SectionKind::strings);
    if (offset >= strings.size())
        return std::nullopt;
    const char* text = strings.data() + offset;
    return std::string_view(text, ::strnlen(text, std::min(most, strings.size() - offset)));
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
    if (auto checked = check_sections(image); !checked)
        return checked.error();
    if (auto checked = check_tables(image); !checked)
        return checked.error();
    return image;
}

Result<std::vector<std::uint64_t>> read_hashes(int fd, const Image& image) {
    const Section& where = *image.section(SectionKind::hashes);
    std::vector<std::uint64_t> hashes(where.size / sizeof(std::uint64_t));
    const auto bytes = std::as_writable_bytes(std::span(hashes));
    if (auto read = read_exactly(fd, bytes, where.offset); !read)
        return read.error();
    const Result<Closing> closing = read_closing(fd, image.header());
    if (!closing)
        return closing.error();
    if (hash(bytes) != closing->hashes_hash)
        return damaged("the checksum of the checksums of its memory is wrong");
    return hashes;
}

PageVerifier::PageVerifier(int fd, std::vector<Extent> extents, std::vector<std::uint64_t> hashes)
    : fd_(fd), extents_(std::move(extents)), hashes_(std::move(hashes)), buffer_(extent_limit) {
    for (const Extent& extent : extents_)
        all_ += extent.size();
}

Result<PageVerifier> PageVerifier::open(int fd, const Image& image) {
    Result<std::vector<std::uint64_t>> hashes = read_hashes(fd, image);
    if (!hashes)
        return hashes.error();
    std::vector<Extent> extents;
    for (const Section& s : image.sections()) {
        if (!holds_extents(s.kind))
            continue;
        const std::span<const Extent> some = image.contents<Extent>(s);
        extents.insert(extents.end(), some.begin(), some.end());
    }
    return PageVerifier(fd, std::move(extents), std::move(*hashes));
}

Result<std::optional<std::uint64_t>> PageVerifier::next() {
    if (next_ == extents_.size())
        return std::optional<std::uint64_t>();
    const Extent& extent = extents_[next_];
    if (extent.backing != 0)
        return Error{ENOTSUP, "the image leaves out memory that is in another file, which this "
                              "release cannot look at: verify it with the release that wrote it"};
    const auto bytes = std::span(buffer_).first(extent.size());
    if (auto read = read_exactly(fd_, bytes, extent.offset); !read)
        return read.error();
    if (hash(bytes, unit_) != hashes_[next_])
        return damaged("the checksum of its memory at file offset " +
                       std::to_string(extent.offset) + " is wrong");
    ++next_;
    done_ += extent.size();
    return std::optional(done_);
}

} // namespace rfork::image
