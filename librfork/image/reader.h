// Reads an image file, from an open descriptor and without ever executing it.
//
// Whoever can name a file can hand it to us, so everything in it is hostile until it is checked.
// There are three depths, each including the one before:
//
//   read_front     is this an image of ours, complete, for this machine?     a few reads; rexecd
//                                                                            asks it at each hop
//   read_image     the tables, checked so far that they can be walked        inspect, core, tests
//                  without any further check
//   verify_pages   every byte of memory against its checksum                 inspect --verify
//
// The checksums find damage, not malice. An image runs with the rights of the owner of its inode,
// which is why nobody but that owner may be able to write it; no parser can give that.
#pragma once

#include "base/hash.h"
#include "base/result.h"
#include "format/format.h"
#include "format/object.h"
#include "format/record.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace rfork::image {

// Beyond any honest image, and small enough that hashing a sparse file of zeroes of this size is no
// attack. 256 MiB of metadata describe two TiB of touched memory.
inline constexpr std::uint64_t front_limit = 1024 * 1024;
inline constexpr std::uint64_t metadata_limit = 256 * 1024 * 1024;

// One record, header included. The reader knows where it ends, its kind knows what is in it.
class Record {
  public:
    explicit Record(std::span<const std::byte> bytes) : bytes_(bytes) {}

    const RecordHeader& header() const {
        return *reinterpret_cast<const RecordHeader*>(bytes_.data());
    }
    std::span<const std::byte> bytes() const { return bytes_; }

    // The record as a T, or null when it is too short to be one.
    template <class T>
    const T* as() const {
        static_assert(alignof(T) <= 8);
        return bytes_.size() >= sizeof(T) ? reinterpret_cast<const T*>(bytes_.data()) : nullptr;
    }

  private:
    std::span<const std::byte> bytes_;
};

// `for (Record record : image.records())`. Ends by itself: sizes were checked by read_image().
class Records {
  public:
    class Iterator {
      public:
        explicit Iterator(std::span<const std::byte> rest) : rest_(rest) {}
        Record operator*() const { return Record(rest_.first(size())); }
        Iterator& operator++() {
            rest_ = rest_.subspan(size());
            return *this;
        }
        bool operator!=(const Iterator& other) const { return rest_.size() != other.rest_.size(); }

      private:
        std::size_t size() const { return Record(rest_).header().size; }
        std::span<const std::byte> rest_;
    };

    explicit Records(std::span<const std::byte> table) : table_(table) {}
    Iterator begin() const { return Iterator(table_); }
    Iterator end() const { return Iterator(table_.last(0)); }

  private:
    std::span<const std::byte> table_;
};

// The checked metadata of an image, in one owned buffer. What it says:
//
//   sections   in the order of the file, disjoint, of the metadata inside the metadata; each that
//              must be there is, once for the image or once for each process
//   processes  at least one, ids from 1
//   mappings   page-aligned, ascending, disjoint, also from the stub's window; file_content lies
//              inside the pages
//   extents    ascending, each inside one mapping of its process, and inside the file's pages, or
//   in
//              a backing that there is
//   descriptors  by object, and then by number
//   records    of a whole number of 8 bytes, at least a header; their contents are unchecked
//   strings    begin and end with a zero byte, so that every offset inside is a string
class Image {
  public:
    Image(const Header& header, std::vector<std::byte> metadata);

    const Header& header() const { return header_; }
    std::span<const Section> sections() const {
        return {reinterpret_cast<const Section*>(metadata_.data() + sizeof(Header)),
                header_.sections};
    }
    // Those of a kind, or those of a kind that one owner has: no more than one in a checked image.
    std::span<const Section* const> sections(SectionKind kind) const;
    std::span<const Section* const> sections(SectionKind kind, std::uint32_t owner) const;
    // Nullptr if there is none.
    const Section* section(SectionKind kind, std::uint32_t owner = 0) const;

    std::span<const Process> processes() const { return table<Process>(SectionKind::processes); }
    // Of a process, by its id.
    std::span<const Mapping> mappings(std::uint32_t process = 1) const {
        return table<Mapping>(SectionKind::mappings, process);
    }
    std::span<const Extent> extents(std::uint32_t process = 1) const {
        return table<Extent>(SectionKind::extents, process);
    }
    std::span<const Descriptor> descriptors(std::uint32_t process = 1) const {
        return table<Descriptor>(SectionKind::descriptors, process);
    }
    Records state(std::uint32_t process = 1) const {
        return Records(table<std::byte>(SectionKind::state, process));
    }
    Records objects() const { return Records(table<std::byte>(SectionKind::objects)); }
    std::span<const Extent> shared_memory(std::uint32_t object) const {
        return table<Extent>(SectionKind::shared_memory, object);
    }
    std::span<const Backing> backings() const { return table<Backing>(SectionKind::backings); }

    // Nothing when `offset` lies outside the string table. An enemy's may be as long as that.
    std::optional<std::string_view> string(std::uint32_t offset,
                                           std::size_t most = std::string_view::npos) const;

    // The contents of a section of the metadata; empty if there is none.
    template <class T>
    std::span<const T> table(SectionKind kind, std::uint32_t owner = 0) const {
        const Section* s = section(kind, owner);
        return s ? contents<T>(*s) : std::span<const T>();
    }
    template <class T>
    std::span<const T> contents(const Section& s) const {
        return {reinterpret_cast<const T*>(metadata_.data() + (s.offset - header_.metadata_offset)),
                s.size / sizeof(T)};
    }

  private:
    Header header_;
    std::vector<std::byte> metadata_;
    std::vector<const Section*> by_kind_; // and owner
};

Result<Header> read_front(int fd);
Result<Image> read_image(int fd);

// The hashes of all extents, one section of extents after the other.
Result<std::vector<std::uint64_t>> read_hashes(int fd, const Image& image);

// Tells, extent by extent, that memory is what was written.
class PageVerifier {
  public:
    static Result<PageVerifier> open(int fd, const Image& image);
    // How many bytes have been verified; nothing at the end.
    Result<std::optional<std::uint64_t>> next();
    std::uint64_t all() const { return all_; } // bytes

  private:
    PageVerifier(int fd, std::vector<Extent> extents, std::vector<std::uint64_t> hashes);
    int fd_;
    std::vector<Extent> extents_;
    std::vector<std::uint64_t> hashes_;
    std::size_t next_ = 0;
    std::uint64_t done_ = 0, all_ = 0;
    std::vector<std::byte> buffer_;
    HashUnit unit_;
};

// All of it. `tell` learns, after each extent, how many of how many bytes are verified.
template <class Tell>
Result<void> verify_pages(int fd, const Image& image, Tell tell) {
    Result<PageVerifier> verifier = PageVerifier::open(fd, image);
    if (!verifier)
        return verifier.error();
    for (;;) {
        const Result<std::optional<std::uint64_t>> done = verifier->next();
        if (!done)
            return done.error();
        if (!*done)
            return {};
        tell(**done, verifier->all());
    }
}
inline Result<void> verify_pages(int fd, const Image& image) {
    return verify_pages(fd, image, [](std::uint64_t, std::uint64_t) {});
}

} // namespace rfork::image
