// other_kernel IMAGE [FUNCTION] - makes an image look as if it had been frozen under another
// kernel: the recorded build-id of the vDSO becomes another, and FUNCTION of that vDSO, if one is
// named, gets a name that no kernel knows. All checksums are put right.
#include "base/hash.h"
#include "format/kinds.h"
#include "format/records/address_space.h"
#include "image/reader.h"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace rfork;

namespace {

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "other_kernel: %s\n", what);
    _exit(1);
}

std::vector<std::byte> read_at(int fd, std::uint64_t offset, std::uint64_t size) {
    std::vector<std::byte> bytes(size);
    if (pread(fd, bytes.data(), size, off_t(offset)) != ssize_t(size))
        fail("cannot read the image");
    return bytes;
}

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
    if (pwrite(fd, bytes.data(), bytes.size(), off_t(offset)) != ssize_t(bytes.size()))
        fail("cannot write the image");
}

void change_build_id(std::byte *records, std::uint64_t size) {
    for (std::uint64_t at = 0; at < size;) {
        auto *header = reinterpret_cast<image::RecordHeader *>(records + at);
        if (header->kind == image::Kind::address_space) {
            auto *record = reinterpret_cast<kinds::AddressSpaceRecord *>(header);
            record->vdso_build_id[0] = std::uint8_t(~record->vdso_build_id[0]);
        }
        at += header->size;
    }
}

// The function's name, wherever it stands alone or behind "__vdso_".
void change_name(std::vector<std::byte> &code, const char *function) {
    const std::size_t size = std::strlen(function) + 1;
    unsigned changed = 0;
    for (std::size_t at = 1; at + size <= code.size(); ++at)
        if (std::memcmp(code.data() + at, function, size) == 0) {
            code[at] = std::byte('x');
            ++changed;
        }
    if (!changed)
        fail("the vDSO has no such function");
}

std::vector<std::uint64_t> must(Result<std::vector<std::uint64_t>> hashes) {
    if (!hashes)
        fail(hashes.error().sentence.c_str());
    return std::move(*hashes);
}

void write_hashes(int fd, const image::Image &image, const std::vector<std::uint64_t> &hashes) {
    const auto bytes = std::as_bytes(std::span(hashes));
    image::Closing closing{{}, image.header().id, image.header().file_size, hash(bytes)};
    std::memcpy(closing.magic, image::closing_magic, sizeof closing.magic);
    const auto end = std::as_bytes(std::span(&closing, 1));
    const std::uint64_t at = image.section(image::SectionKind::hashes)->offset;
    write_at(fd, at, {bytes.begin(), bytes.end()});
    write_at(fd, at + bytes.size(), {end.begin(), end.end()});
}

} // namespace

int main(int argc, char **argv) {
    const int fd = argc >= 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    const Result<image::Image> read = image::read_image(fd);
    if (!read)
        fail(read.error().sentence.c_str());
    image::Header header = read->header();
    std::vector<std::byte> metadata = read_at(fd, header.metadata_offset, header.metadata_size);
    const image::Section& state = *read->section(image::SectionKind::state, 1);
    change_build_id(metadata.data() + (state.offset - header.metadata_offset), state.size);

    std::vector<std::uint64_t> hashes = must(image::read_hashes(fd, *read));
    for (std::size_t i = 0; argc > 2 && i < read->extents().size(); ++i)
        for (const image::Mapping &m : read->mappings()) {
            const image::Extent &extent = read->extents()[i];
            if (m.kind != image::MappingKind::vdso || m.start != extent.at)
                continue;
            auto code = read_at(fd, extent.offset, extent.size());
            change_name(code, argv[2]);
            write_at(fd, extent.offset, code);
            hashes[i] = hash(code);
        }
    write_hashes(fd, *read, hashes);

    header.metadata_hash = 0;
    std::memcpy(metadata.data(), &header, sizeof header);
    header.metadata_hash = hash(metadata);
    std::memcpy(metadata.data(), &header, sizeof header);
    write_at(fd, header.metadata_offset, metadata);
    return 0;
}
