// Shared memory that has one mapping is made where that is to be. Where there are several, or it is
// a file (memfd_create(2)), it is made first at a place that the image names, in the table of
// mappings of nobody, and mapped from there: mremap(2) with an old size of 0 makes a second mapping
// of the same pages, in a process that has inherited the first as well. With one process that is
// done for one object after the other, so that no more is mapped than need be.
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
constexpr std::uint32_t only_process = 1;

std::span<const Mapping> common_mappings(const Stub& stub) {
    return table<Mapping>(stub, image::SectionKind::mappings, stub.nobody.id);
}

// Where an object is made; they are in their order.
const Mapping* place_of(const Stub& stub, std::uint32_t object) {
    const std::span<const Mapping> all = common_mappings(stub);
    const std::size_t first = first_of(all, object);
    return first < all.size() && all[first].object == object ? &all[first] : nullptr;
}

[[noreturn]] void cannot_map(const Stub& stub, long error) {
    fail(stub, int(-error), "cannot make shared memory of the program again");
}

void fill(const Stub& stub, const Mapping& m) {
    const Extents all = extents_of(stub, image::SectionKind::shared_memory, m.object);
    const std::uint64_t base = m.start - m.origin_offset; // where the object's byte 0 would be
    for (std::size_t i = 0; i < all.extents.size(); ++i)
        read_extent(stub, m, {base + all.extents[i].at, all.extents[i], all.hashes[i]});
}

// `fd`: of a memfd, else -1.
void make(const Stub& stub, const Mapping& m, int fd) {
    std::uint32_t flags = MAP_SHARED | MAP_FIXED_NOREPLACE;
    if (fd < 0)
        flags |= MAP_ANONYMOUS | (m.flags & image::mapping_noreserve ? MAP_NORESERVE : 0u);
    const long r = arch::syscall(__NR_mmap, m.start, m.end - m.start, prot_rw, flags, fd,
                                 fd < 0 ? 0 : m.origin_offset);
    if (r != long(m.start))
        cannot_map(stub, r < 0 ? r : -EEXIST);
    fill(stub, m);
}

void finish(const Stub& stub, const Mapping& m) {
    if ((m.prot & prot_rw) != prot_rw || (m.prot & PROT_EXEC))
        if (long r = arch::syscall(__NR_mprotect, m.start, m.end - m.start, m.prot); r < 0)
            cannot_map(stub, r);
    finish_mapping(stub, m);
}

void take(const Stub& stub, const Mapping& m, const Mapping& made) {
    const long r = arch::syscall(__NR_mremap, made.start + (m.origin_offset - made.origin_offset),
                                 0, m.end - m.start, MREMAP_MAYMOVE | MREMAP_FIXED, m.start);
    if (r != long(m.start))
        cannot_map(stub, r < 0 ? r : -EEXIST);
    finish(stub, m);
}

// Where only those are allowed that cannot be executed (vm.memfd_noexec), it is one of them.
int make_memfd(const Stub& stub, const SharedMemoryRecord& record) {
    constexpr unsigned noexec_seal = 8; // MFD_NOEXEC_SEAL, Linux 6.3
    const char* name = string_at(stub, record.object.name);
    long fd = arch::syscall(__NR_memfd_create, name, MFD_CLOEXEC);
    if (fd == -EACCES)
        fd = arch::syscall(__NR_memfd_create, name, MFD_CLOEXEC | noexec_seal);
    if (fd < 0)
        fail(stub, int(-fd), "cannot make again memory of memfd_create(2),", name);
    if (long r = arch::syscall(__NR_ftruncate, fd, record.size); r < 0)
        cannot_map(stub, r);
    return int(fd);
}

} // namespace

void restore_shared_memory(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<SharedMemoryRecord>(header);
    const Mapping* place = place_of(stub, record.object.id);
    if (!place)
        return;
    const int fd = record.type == SharedMemoryType::memfd ? make_memfd(stub, record) : -1;
    make(stub, *place, fd);
    if (fd >= 0)
        arch::syscall(__NR_close, fd);
    if (are_several(stub))
        return;
    for (const Mapping& m : table<Mapping>(stub, image::SectionKind::mappings, only_process))
        if (m.object == record.object.id)
            take(stub, m, *place);
    arch::syscall(__NR_munmap, place->start, place->end - place->start);
}

void map_shared_memory(const Stub& stub, const Mapping& m) {
    const Mapping* place = place_of(stub, m.object);
    if (!place) {
        make(stub, m, -1);
        finish(stub, m);
    } else if (are_several(stub)) {
        take(stub, m, *place);
    }
}

void unmap_common_memory(const Stub& stub) {
    if (are_several(stub))
        for (const Mapping& m : common_mappings(stub))
            arch::syscall(__NR_munmap, m.start, m.end - m.start);
}

} // namespace rfork::stub
