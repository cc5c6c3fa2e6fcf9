// The image as the stub sees it: its own file, and the metadata the kernel has mapped.
#include "stub/stub.h"

#include <asm/unistd.h>
#include <elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

namespace rfork::stub {

namespace {

[[noreturn]] void cannot_open(const Stub& stub, long error, const char* name) {
    fail(stub, int(-error),
         error == -EACCES ? "cannot open the image to read its pages (whoever runs it must be "
                            "allowed to read it, too: chmod +r),"
                          : "cannot open the image to read its pages,",
         name);
}

} // namespace

void open_image(Stub& stub, const char* executable_name) {
    long fd = arch::syscall(__NR_open, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd == -ENOENT) // no /proc here; find_kernel_mappings() will say so if it matters
        fd = arch::syscall(__NR_open, executable_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        cannot_open(stub, fd, executable_name);
    fd = keep_off_streams(int(fd));
    if (fd < 0)
        cannot_open(stub, fd, executable_name);
    stub.image_fd = int(fd);
}

namespace {

[[noreturn]] void damaged(const Stub& stub, const char* what) {
    fail(stub, EBADMSG, what);
}

std::span<const std::byte> bytes(const void* data, std::uint64_t size) {
    return {static_cast<const std::byte*>(data), size};
}

// The metadata's field itself counts as zero, so the hash is taken around it.
std::uint64_t metadata_hash(const Stub& stub, const image::Header& header) {
    image::Header copy = header;
    copy.metadata_hash = 0;
    RunningHash hash(stub.hash_unit);
    hash.add(bytes(&copy, sizeof copy));
    hash.add(bytes(&header + 1, header.metadata_size - sizeof header));
    return hash.value();
}

template <class Byte, std::size_t size>
bool is_same(const Byte (&a)[size], const Byte (&b)[size]) {
    for (std::size_t i = 0; i < size; ++i)
        if (a[i] != b[i])
            return false;
    return true;
}

// The first page is not mapped; the rest of the front is the code that is running here.
std::uint64_t front_hash(const Stub& stub, const std::uint8_t (&first_page)[image::page_size],
                         const image::Header& header) {
    RunningHash hash(stub.hash_unit);
    hash.add(bytes(first_page, sizeof first_page));
    hash.add(bytes(reinterpret_cast<const void*>(header.window.base),
                   header.metadata_offset - sizeof first_page));
    return hash.value();
}

// An image that leaves out what another file has takes a stub that knows how to find it.
void check_backings(const Stub& stub) {
    if (!table<image::Backing>(stub, image::SectionKind::backings).empty())
        fail(stub, EOPNOTSUPP,
             "the image leaves out memory that is in other files, which its stub cannot read");
}

// As much of that as the file has.
std::uint64_t read_at(const Stub& stub, std::byte* to, std::uint64_t size, std::uint64_t offset) {
    std::uint64_t done = 0;
    while (done < size) {
        const long got =
            arch::syscall(__NR_pread64, stub.image_fd, to + done, size - done, offset + done);
        if (got == 0)
            break;
        if (got < 0 && got != -EINTR)
            fail(stub, int(-got), "cannot read the checksums of the image");
        done += got > 0 ? std::uint64_t(got) : 0;
    }
    return done;
}

// Behind the pages, in one piece with the closing record: by that the file is complete. One byte
// more is asked for than there should be.
void read_hashes(const Stub& stub) {
    const image::Header& header = *stub.header;
    const image::Section* where = find_section(stub, image::SectionKind::hashes, 0);
    if (!where)
        damaged(stub, "the image is damaged: it has no checksums");
    auto* to = reinterpret_cast<std::byte*>(header.window.hashes);
    const std::uint64_t size = header.file_size - where->offset;
    const std::uint64_t there = read_at(stub, to, size + 1, where->offset);
    if (there < size)
        damaged(stub, "the image is truncated: copy it again from where it was written");
    if (there > size)
        damaged(stub, "the image is damaged: it is longer than it was written; copy it again");
    const auto* closing = reinterpret_cast<const image::Closing*>(to + where->size);
    if (size != where->size + sizeof *closing || !is_same(closing->magic, image::closing_magic) ||
        !is_same(closing->id.bytes, header.id.bytes) || closing->file_size != header.file_size)
        damaged(stub, "the image is truncated: it does not end with its closing record");
    if (hash({to, where->size}, stub.hash_unit) != closing->hashes_hash)
        damaged(stub, "the image is damaged: its checksums do not match theirs");
}

} // namespace

// Nothing of the metadata is believed before its hash holds, and its own size only if the kernel,
// which went by the program header, has mapped as much.
void check_image(Stub& stub) {
    const image::Header& header = *stub.header;
    std::uint8_t first_page[image::page_size];
    const long got = arch::syscall(__NR_pread64, stub.image_fd, first_page, sizeof first_page, 0);
    if (got != long(sizeof first_page))
        fail(stub, got < 0 ? int(-got) : EBADMSG, "cannot read the first page of the image");
    const auto* elf = reinterpret_cast<const Elf64_Ehdr*>(first_page);
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(elf + 1);
    if (elf->e_phoff != sizeof *elf || segments[1].p_filesz != header.metadata_size ||
        segments[1].p_filesz < sizeof header || metadata_hash(stub, header) != header.metadata_hash)
        damaged(stub, "the image is damaged: its metadata do not match their checksum");
    if (front_hash(stub, first_page, header) != header.front_hash)
        damaged(stub, "the image is damaged: its stub does not match its checksum");

    if (header.page_size != image::page_size)
        fail(stub, EOPNOTSUPP, "the image has pages of another size than this machine");
    read_hashes(stub);
    check_backings(stub);
}

const image::Section* find_section(const Stub& stub, image::SectionKind kind, std::uint32_t owner) {
    const auto* section = reinterpret_cast<const image::Section*>(stub.header + 1);
    for (std::uint32_t i = 0; i < stub.header->sections; ++i)
        if (section[i].kind == kind && section[i].owner == owner)
            return &section[i];
    return nullptr;
}

const char* string_at(const Stub& stub, std::uint32_t offset) {
    return table<char>(stub, image::SectionKind::strings).data() + offset;
}

std::span<const image::Mapping> mappings_of(const Stub& stub) {
    return table<image::Mapping>(stub, image::SectionKind::mappings, stub.process->id);
}

Extents extents_of(const Stub& stub, image::SectionKind kind, std::uint32_t owner) {
    const auto* section = reinterpret_cast<const image::Section*>(stub.header + 1);
    const auto* hashes = reinterpret_cast<const std::uint64_t*>(stub.header->window.hashes);
    for (std::uint32_t i = 0; i < stub.header->sections; ++i) {
        if (section[i].kind == kind && section[i].owner == owner)
            return {table<image::Extent>(stub, kind, owner), hashes};
        if (section[i].kind == image::SectionKind::extents ||
            section[i].kind == image::SectionKind::shared_memory)
            hashes += section[i].size / sizeof(image::Extent);
    }
    return {};
}

Records::Records(const Stub& stub) : Records(stub, *stub.process) {}

Records::Records(const Stub& stub, const image::Process& process)
    : Records(table<std::uint8_t>(stub, image::SectionKind::state, process.id)) {}

Records Records::of_objects(const Stub& stub) {
    return Records(table<std::uint8_t>(stub, image::SectionKind::objects));
}

const image::RecordHeader* Records::next() {
    if (rest_.empty())
        return nullptr;
    const auto* record = reinterpret_cast<const image::RecordHeader*>(rest_.data());
    rest_ = rest_.subspan(record->size);
    return record;
}

} // namespace rfork::stub
