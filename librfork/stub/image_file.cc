// The image as the stub sees it: its own file, and the metadata the kernel has mapped.
#include "stub/stub.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

namespace rfork::stub {

void open_image(Stub& stub, const char* executable_name) {
    long fd = arch::syscall(__NR_open, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd == -ENOENT) // no /proc here; find_kernel_mappings() will say so if it matters
        fd = arch::syscall(__NR_open, executable_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(stub, int(-fd), "cannot open the image to read its pages", executable_name);
    stub.image_fd = int(fd);
    if (fd > 2)
        return;
    // Started with a standard stream closed: the image is not that stream.
    fd = arch::syscall(__NR_fcntl, stub.image_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        fail(stub, int(-fd), "cannot open the image to read its pages", executable_name);
    arch::syscall(__NR_close, stub.image_fd);
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

// The first page is not mapped; the rest of the front is the code that is running here.
std::uint64_t front_hash(const Stub& stub, const std::uint8_t (&first_page)[image::page_size],
                         const image::Header& header) {
    RunningHash hash(stub.hash_unit);
    hash.add(bytes(first_page, sizeof first_page));
    hash.add(bytes(reinterpret_cast<const void*>(header.window.base),
                   header.metadata_offset - sizeof first_page));
    return hash.value();
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

    struct stat st;
    if (long r = arch::syscall(__NR_fstat, stub.image_fd, &st); r < 0)
        fail(stub, int(-r), "cannot examine the image");
    if (std::uint64_t(st.st_size) < header.file_size)
        damaged(stub, "the image is truncated: copy it again from where it was written");
}

const char* string_at(const Stub& stub, std::uint32_t offset) {
    return reinterpret_cast<const char*>(stub.header) + stub.header->strings.offset + offset;
}

MappingTable mappings_of(const Stub& stub) {
    const image::Table& table = stub.header->mappings;
    const auto* first = reinterpret_cast<const image::Mapping*>(
        reinterpret_cast<const std::uint8_t*>(stub.header) + table.offset);
    return {first, first + table.size / sizeof *first};
}

Records::Records(const Stub& stub)
    : at_(reinterpret_cast<const std::uint8_t*>(stub.header) + stub.header->records.offset),
      end_(at_ + stub.header->records.size) {}

const image::RecordHeader* Records::next() {
    if (at_ >= end_)
        return nullptr;
    const auto* record = reinterpret_cast<const image::RecordHeader*>(at_);
    at_ += record->size;
    return record;
}

} // namespace rfork::stub
