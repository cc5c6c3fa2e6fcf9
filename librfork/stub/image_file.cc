// The image as the stub sees it: its own file, and the metadata the kernel has mapped.
#include "stub/stub.h"

#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rfork::stub {

std::uint64_t hash(const void* data, std::size_t size) {
    return XXH3_64bits(data, size);
}

void open_image(Stub& stub, const char* executable_name) {
    long fd = arch::syscall(__NR_open, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd == -ENOENT) // no /proc here; find_kernel_mappings() will say so if it matters
        fd = arch::syscall(__NR_open, executable_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(stub, int(-fd), "cannot open the image to read its pages", executable_name);
    stub.image_fd = int(fd);

    struct stat st;
    if (long r = arch::syscall(__NR_fstat, stub.image_fd, &st); r < 0)
        fail(stub, int(-r), "cannot examine the image");
    if (std::uint64_t(st.st_size) < stub.header->file_size)
        fail(stub, EBADMSG, "the image is truncated: copy it again from where it was written");
}

void check_metadata(Stub& stub) {
    const image::Header& header = *stub.header;
    // The field itself counts as zero, so the hash is taken around it.
    image::Header copy = header;
    copy.metadata_hash = 0;
    const auto* rest = reinterpret_cast<const std::uint8_t*>(&header + 1);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, &copy, sizeof copy);
    XXH3_64bits_update(&state, rest, header.metadata_size - sizeof header);
    if (XXH3_64bits_digest(&state) != header.metadata_hash)
        fail(stub, EBADMSG, "the image is damaged: its metadata do not match their checksum");
}

const char* string_at(const Stub& stub, std::uint32_t offset) {
    return reinterpret_cast<const char*>(stub.header) + stub.header->strings.offset + offset;
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
