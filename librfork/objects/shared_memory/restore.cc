// Shared memory is made, filled, and mapped wherever the process has it mapped.
//
// One mapping of anonymous memory is made where it is to be. Where there are several, the memory is
// made at some free place first, and copied from there: mremap(2) with an old size of 0 makes a
// second mapping of the same pages. A memfd is a file, and needs none of that.
#include "format/records/shared_memory.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/memfd.h>
#include <linux/mman.h>

namespace rfork::stub {
namespace {

using image::Mapping;
using kinds::SharedMemoryRecord;
using kinds::SharedMemoryType;

constexpr std::uint32_t prot_rw = PROT_READ | PROT_WRITE;

// The part of an object that this process has mapped.
struct Part {
    std::uint64_t begin = ~std::uint64_t(0), end = 0; // offsets in the object
    unsigned mappings = 0;
    const Mapping* first = nullptr;
};

Part part_of(const Stub& stub, const SharedMemoryRecord& record) {
    Part part;
    for (const Mapping& m : mappings_of(stub)) {
        if (m.object != record.object.id)
            continue;
        const std::uint64_t end = m.origin_offset + (m.end - m.start);
        part.begin = m.origin_offset < part.begin ? m.origin_offset : part.begin;
        part.end = end > part.end ? end : part.end;
        part.first = part.first ? part.first : &m;
        ++part.mappings;
    }
    return part;
}

// Where neither the program nor the window has anything.
std::uint64_t free_place(const Stub& stub, std::uint64_t size) {
    const image::Window& window = stub.header->window;
    std::uint64_t at = image::page_size * 16; // vm.mmap_min_addr
    bool moved = true;
    while (moved) {
        moved = false;
        if (at < window.end && window.base < at + size) {
            at = window.end;
            moved = true;
        }
        for (const Mapping& m : mappings_of(stub))
            if (at < m.end && m.start < at + size) {
                at = m.end;
                moved = true;
            }
    }
    return at;
}

[[noreturn]] void cannot_map(const Stub& stub, long error) {
    fail(stub, int(-error), "cannot make shared memory of the program again");
}

// `base`: where the object's byte 0 would be.
void fill(const Stub& stub, const SharedMemoryRecord& record, const Mapping& about,
          std::uint64_t base) {
    const Extents all = extents_of(stub, image::SectionKind::shared_memory, record.object.id);
    for (std::size_t i = 0; i < all.extents.size(); ++i)
        read_extent(stub, about, {base + all.extents[i].at, all.extents[i], all.hashes[i]});
}

void finish(const Stub& stub, const Mapping& m) {
    if ((m.prot & prot_rw) != prot_rw || (m.prot & PROT_EXEC))
        if (long r = arch::syscall(__NR_mprotect, m.start, m.end - m.start, m.prot); r < 0)
            cannot_map(stub, r);
    finish_mapping(stub, m);
}

long map(std::uint64_t at, std::uint64_t size, std::uint32_t flags, int fd, std::uint64_t offset) {
    const long r = arch::syscall(__NR_mmap, at, size, prot_rw,
                                 MAP_SHARED | MAP_FIXED_NOREPLACE | flags, fd, offset);
    return r >= 0 && r != long(at) ? -EEXIST : r;
}

std::uint32_t anonymous_flags(const Mapping& m) {
    return MAP_ANONYMOUS | (m.flags & image::mapping_noreserve ? MAP_NORESERVE : 0u);
}

void restore_one(const Stub& stub, const SharedMemoryRecord& record, const Mapping& m) {
    if (long r = map(m.start, m.end - m.start, anonymous_flags(m), -1, 0); r < 0)
        cannot_map(stub, r);
    fill(stub, record, m, m.start - m.origin_offset);
    finish(stub, m);
}

void restore_several(const Stub& stub, const SharedMemoryRecord& record, const Part& part) {
    const std::uint64_t size = part.end - part.begin, place = free_place(stub, size);
    const std::uint64_t base = place - part.begin;
    if (long r = map(place, size, anonymous_flags(*part.first), -1, 0); r < 0)
        cannot_map(stub, r);
    fill(stub, record, *part.first, base);
    for (const Mapping& m : mappings_of(stub)) {
        if (m.object != record.object.id)
            continue;
        const long r = arch::syscall(__NR_mremap, base + m.origin_offset, 0, m.end - m.start,
                                     MREMAP_MAYMOVE | MREMAP_FIXED, m.start);
        if (r != long(m.start))
            cannot_map(stub, r < 0 ? r : -EEXIST);
        finish(stub, m);
    }
    arch::syscall(__NR_munmap, place, size);
}

// Where only those are allowed that cannot be executed (vm.memfd_noexec), it is one of them.
int make_memfd(const Stub& stub, const char* name) {
    constexpr unsigned noexec_seal = 8; // MFD_NOEXEC_SEAL, Linux 6.3
    long fd = arch::syscall(__NR_memfd_create, name, MFD_CLOEXEC);
    if (fd == -EACCES)
        fd = arch::syscall(__NR_memfd_create, name, MFD_CLOEXEC | noexec_seal);
    if (fd < 0)
        fail(stub, int(-fd), "cannot make again memory of memfd_create(2),", name);
    return int(fd);
}

void restore_memfd(const Stub& stub, const SharedMemoryRecord& record, const Part& part) {
    const int fd = make_memfd(stub, string_at(stub, record.object.name));
    if (long r = arch::syscall(__NR_ftruncate, fd, record.size); r < 0)
        cannot_map(stub, r);
    const std::uint64_t size = record.size, place = free_place(stub, size);
    if (size > 0) {
        if (long r = map(place, size, 0, fd, 0); r < 0)
            cannot_map(stub, r);
        fill(stub, record, *part.first, place);
        arch::syscall(__NR_munmap, place, size);
    }
    for (const Mapping& m : mappings_of(stub)) {
        if (m.object != record.object.id)
            continue;
        if (long r = map(m.start, m.end - m.start, 0, fd, m.origin_offset); r < 0)
            cannot_map(stub, r);
        finish(stub, m);
    }
    arch::syscall(__NR_close, fd);
}

} // namespace

void restore_shared_memory(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<SharedMemoryRecord>(header);
    const Part part = part_of(stub, record);
    if (part.mappings == 0)
        return;
    if (record.type == SharedMemoryType::memfd)
        restore_memfd(stub, record, part);
    else if (part.mappings == 1)
        restore_one(stub, record, *part.first);
    else
        restore_several(stub, record, part);
}

} // namespace rfork::stub
