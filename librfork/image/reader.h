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

// The checked metadata of an image: Header, tables and strings in one owned buffer. What it says:
//
//   mappings   page-aligned, ascending, disjoint, also from the stub's window; file_content lies
//              inside the file
//   extents    page-aligned, ascending, each inside one mapping, and inside the file's pages
//   records    of a whole number of 8 bytes, at least a header; their contents are unchecked
//   strings    begin and end with a zero byte, so that every offset inside is a string
class Image {
  public:
    Image(const Header& header, std::vector<std::byte> metadata)
        : header_(header), metadata_(std::move(metadata)) {}

    const Header& header() const { return header_; }
    bool has_core_view() const { return header_.core_size != 0; }

    std::span<const Mapping> mappings() const { return table<Mapping>(header_.mappings); }
    std::span<const Extent> extents() const { return table<Extent>(header_.extents); }
    Records records() const { return Records(record_table()); }
    std::span<const std::byte> record_table() const { return table<std::byte>(header_.records); }
    std::span<const std::byte> string_table() const { return table<std::byte>(header_.strings); }

    // Nothing when `offset` lies outside the string table.
    std::optional<std::string_view> string(std::uint32_t offset) const;

  private:
    template <class T>
    std::span<const T> table(const Table& where) const {
        return {reinterpret_cast<const T*>(metadata_.data() + where.offset),
                where.size / sizeof(T)};
    }

    Header header_;
    std::vector<std::byte> metadata_;
};

Result<Header> read_front(int fd);
Result<Image> read_image(int fd);
Result<void> verify_pages(int fd, const Image& image);

// One of its extents, for those who want to tell how far they are; in a buffer of extent_limit
// bytes.
Result<void> verify_extent(int fd, const Extent& extent, std::span<std::byte> buffer,
                           HashUnit unit);

} // namespace rfork::image
