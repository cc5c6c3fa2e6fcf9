// Changing an image in place, with checksums that are right afterwards.
#pragma once

#include "base/hash.h"
#include "image/reader.h"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace rfork::test {

class EditedImage {
  public:
    explicit EditedImage(const char *path)
        : fd_(open(path, O_RDWR | O_CLOEXEC)), image_(must(image::read_image(fd_))),
          hashes_(must(image::read_hashes(fd_, image_))),
          metadata_(read(image_.header().metadata_offset, image_.header().metadata_size)) {}

    const image::Image &image() const { return image_; }
    // The bytes of a section of the metadata, to be changed.
    std::span<std::byte> contents(image::SectionKind kind, std::uint32_t owner) {
        const image::Section &s = *image_.section(kind, owner);
        return std::span(metadata_).subspan(s.offset - image_.header().metadata_offset, s.size);
    }
    std::vector<std::byte> read(std::uint64_t offset, std::uint64_t size) const {
        std::vector<std::byte> bytes(size);
        if (pread(fd_, bytes.data(), size, off_t(offset)) != ssize_t(size))
            fail("cannot read the image");
        return bytes;
    }
    // Of extent `index`.
    void replace_page_data(std::size_t index, std::span<const std::byte> bytes) {
        write(image_.extents()[index].offset, bytes);
        hashes_[index] = hash(bytes);
    }
    void save() {
        image::Header header = image_.header();
        header.metadata_hash = 0;
        std::memcpy(metadata_.data(), &header, sizeof header);
        header.metadata_hash = hash(metadata_);
        std::memcpy(metadata_.data(), &header, sizeof header);
        write(header.metadata_offset, metadata_);
        const auto bytes = std::as_bytes(std::span(hashes_));
        image::Closing closing{{}, header.id, header.file_size, hash(bytes)};
        std::memcpy(closing.magic, image::closing_magic, sizeof closing.magic);
        const std::uint64_t at = image_.section(image::SectionKind::hashes)->offset;
        write(at, bytes);
        write(at + bytes.size(), std::as_bytes(std::span(&closing, 1)));
    }

    [[noreturn]] static void fail(const char *why) {
        std::fprintf(stderr, "the image cannot be changed: %s\n", why);
        _exit(1);
    }

  private:
    template <class T>
    static T must(Result<T> result) {
        if (!result)
            fail(result.error().sentence.c_str());
        return std::move(*result);
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) const {
        if (pwrite(fd_, bytes.data(), bytes.size(), off_t(offset)) != ssize_t(bytes.size()))
            fail("cannot write the image");
    }

    int fd_;
    image::Image image_;
    std::vector<std::uint64_t> hashes_;
    std::vector<std::byte> metadata_;
};

} // namespace rfork::test
