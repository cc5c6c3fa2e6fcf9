// The program's memory, as it was.
//
//   anonymous         mapped anonymous and read in: MADV_DONTNEED must give zeroes again, which no
//                     mapping of the image could do
//   shared memory     by its object (objects/shared_memory)
//   file content      mapped from the image, private: a file mapping stays one, and pages that the
//                     program never touches again are never copied
//   file shared       the file itself, by path
//   vDSO              this kernel's, see kernel_mappings.cc; another kernel's like anonymous memory
//
// Every byte that the image brings is checked against its hash before the program can see it.
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>

namespace rfork::stub {
namespace {

using image::Extent;
using image::Mapping;
using image::MappingKind;

constexpr std::uint32_t prot_rw = PROT_READ | PROT_WRITE;
constexpr int populate_read = 22, populate_write = 23; // MADV_POPULATE_*, Linux 5.14
constexpr int map_droppable = 8;                       // MAP_DROPPABLE, Linux 6.11
constexpr long sys_mseal = 462;                        // Linux 6.10

// "7f0123-7f0456", for sentences.
struct RangeText {
    char text[40];
    explicit RangeText(const Mapping& m) {
        static constexpr char hex[] = "0123456789abcdef";
        unsigned at = 0;
        const std::uint64_t ends[2] = {m.start, m.end};
        for (unsigned e = 0; e < 2; ++e) {
            for (int shift = 44; shift >= 0; shift -= 4)
                text[at++] = hex[ends[e] >> shift & 15];
            text[at++] = e == 0 ? '-' : '\0';
        }
    }
};

// Before 4.17 the kernel takes MAP_FIXED_NOREPLACE for a hint, and may map elsewhere.
bool mapped(long result, const Mapping& m) {
    return result == long(m.start);
}

[[noreturn]] void cannot_map(const Stub& stub, long error, const Mapping& m) {
    fail(stub, int(-error), "cannot map the program's memory at", RangeText(m).text);
}

void advise(const Mapping& m) {
    static constexpr struct {
        std::uint32_t flag;
        int advice;
    } table[] = {
        {image::mapping_hugepage, MADV_HUGEPAGE},     {image::mapping_nohugepage, MADV_NOHUGEPAGE},
        {image::mapping_wipeonfork, MADV_WIPEONFORK}, {image::mapping_dontdump, MADV_DONTDUMP},
        {image::mapping_mergeable, MADV_MERGEABLE},   {image::mapping_dontfork, MADV_DONTFORK},
        {image::mapping_sequential, MADV_SEQUENTIAL}, {image::mapping_random, MADV_RANDOM}};
    for (const auto& entry : table)
        if (m.flags & entry.flag) // a kernel without the feature loses nothing the program can see
            arch::syscall(__NR_madvise, m.start, m.end - m.start, entry.advice);
}

// What people see of it in /proc, if the kernel keeps such names at all.
void give_name(const Stub& stub, const Mapping& m) {
    static constexpr char of_private[] = "[anon:", of_shared[] = "[anon_shmem:";
    const char* name = string_at(stub, m.name);
    if (starts_with(name, of_private))
        name += sizeof of_private - 1;
    else if (starts_with(name, of_shared))
        name += sizeof of_shared - 1;
    else
        return;
    char given[81]; // the kernel's limit, with the zero
    Text text(given, sizeof given);
    text << name;
    if (text.size() == 0)
        return;
    given[text.size() - 1] = '\0'; // the bracket
    arch::syscall(__NR_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, m.start, m.end - m.start, given);
}

bool is_writable(const Mapping& m) {
    return (m.prot & prot_rw) == prot_rw;
}

// Memory that the program cannot write now, but once could: it is filled while it can be written.
// (The kernel does not join neighbours of which only one was ever writable.)
bool was_writable(const Mapping& m) {
    return m.kind == MappingKind::anonymous && !is_writable(m) &&
           (m.flags & image::mapping_accounted);
}

void map_anonymous(const Stub& stub, const Mapping& m) {
    const std::uint32_t prot = was_writable(m) ? prot_rw : m.prot;
    int flags = MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (m.flags & image::mapping_droppable)
        flags |= map_droppable;
    else
        flags |= MAP_PRIVATE;
    if (m.flags & image::mapping_growsdown)
        flags |= MAP_GROWSDOWN;
    if (m.flags & image::mapping_noreserve)
        flags |= MAP_NORESERVE;
    const long r = arch::syscall(__NR_mmap, m.start, m.end - m.start, prot, flags, -1, 0);
    if (r < 0 && (m.flags & image::mapping_droppable))
        fail(stub, int(-r),
             "this kernel has no memory that it may drop (MAP_DROPPABLE, Linux 6.11), as the "
             "program uses at",
             RangeText(m).text);
    if (!mapped(r, m))
        cannot_map(stub, r < 0 ? r : -EEXIST, m);
    advise(m);
    give_name(stub, m);
}

void map_content(const Stub& stub, const Mapping& m) {
    // Readable while the hashes are checked; the program's own protection comes after.
    const long r = arch::syscall(__NR_mmap, m.start, m.end - m.start, m.prot | PROT_READ,
                                 MAP_PRIVATE | MAP_FIXED_NOREPLACE, stub.image_fd, m.file_offset);
    if (!mapped(r, m))
        cannot_map(stub, r < 0 ? r : -EEXIST, m);
    advise(m);
    arch::syscall(__NR_madvise, m.start, m.end - m.start, populate_read); // for the hashes
}

void map_shared_file(const Stub& stub, const Mapping& m) {
    const int fd = open_mapped_file(stub, m);
    const long r = arch::syscall(__NR_mmap, m.start, m.end - m.start, m.prot,
                                 MAP_SHARED | MAP_FIXED_NOREPLACE, fd, m.origin_offset);
    arch::syscall(__NR_close, fd);
    if (!mapped(r, m))
        cannot_map(stub, r < 0 ? r : -EEXIST, m);
    advise(m);
}

void protect(const Stub& stub, const Mapping& m, std::uint64_t start, std::uint64_t size,
             std::uint32_t prot) {
    if (long r = arch::syscall(__NR_mprotect, start, size, prot); r < 0)
        cannot_map(stub, r, m);
}

void check(const Stub& stub, const Mapping& m, const Placed& p) {
    const std::span bytes(reinterpret_cast<const std::byte*>(p.address), p.extent.size());
    if (hash(bytes, stub.hash_unit) != p.hash)
        fail(stub, EBADMSG, "the image is damaged: its pages do not match their checksum at",
             RangeText(m).text);
    count_progress(stub, p.extent.size());
}

} // namespace

void read_extent(const Stub& stub, const Mapping& m, const Placed& p) {
    const std::uint64_t size = p.extent.size();
    // All pages at once are cheaper than a fault for each; an older kernel takes the faults.
    arch::syscall(__NR_madvise, p.address, size, populate_write);
    std::uint64_t done = 0;
    while (done < size) {
        const long got = arch::syscall(__NR_pread64, stub.image_fd, p.address + done, size - done,
                                       p.extent.offset + done);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            fail(stub, got < 0 ? int(-got) : EIO, "cannot read the program's memory at",
                 RangeText(m).text);
        done += std::uint64_t(got);
    }
    check(stub, m, p);
}

void finish_mapping(const Stub& stub, const Mapping& m) {
    advise(m);
    give_name(stub, m);
}

namespace {

// The extents of a mapping, one after the other.
class Walk {
  public:
    explicit Walk(const Extents& all) : all_(all) {}
    bool has_more_in(const Mapping& m) const {
        return next_ < all_.extents.size() && all_.extents[next_].at < m.end;
    }
    Placed next() {
        const std::size_t i = next_++;
        return {all_.extents[i].at, all_.extents[i], all_.hashes[i]};
    }

  private:
    Extents all_;
    std::size_t next_ = 0;
};

// A range that was never writable, and yet holds something, is opened piece by piece: opened as a
// whole, an enormous reservation would count as promised memory.
void fill(const Stub& stub, const Mapping& m, Walk& extents) {
    const bool open = is_writable(m) || was_writable(m);
    while (extents.has_more_in(m)) {
        const Placed p = extents.next();
        if (!open)
            protect(stub, m, p.address, p.extent.size(), prot_rw);
        read_extent(stub, m, p);
        if (!open)
            protect(stub, m, p.address, p.extent.size(), m.prot);
    }
    if (was_writable(m))
        protect(stub, m, m.start, m.end - m.start, m.prot);
}

void check_all(const Stub& stub, const Mapping& m, Walk& extents) {
    while (extents.has_more_in(m))
        check(stub, m, extents.next());
}

void skip(const Mapping& m, Walk& extents) {
    while (extents.has_more_in(m))
        extents.next();
}

void restore_mapping(const Stub& stub, const Mapping& m, Walk& extents) {
    switch (m.kind) {
    case MappingKind::anonymous:
        map_anonymous(stub, m);
        fill(stub, m, extents);
        return;
    case MappingKind::shared_memory:
        return map_shared_memory(stub, m);
    case MappingKind::file_content:
        map_content(stub, m);
        check_all(stub, m, extents);
        if (!(m.prot & PROT_READ))
            protect(stub, m, m.start, m.end - m.start, m.prot);
        return;
    case MappingKind::file_shared:
        map_shared_file(stub, m);
        return;
    case MappingKind::vvar: // placed by kernel_mappings.cc
        return;
    case MappingKind::vdso: // likewise, unless it is another kernel's
        if (!stub.redirects_vdso)
            return skip(m, extents);
        map_anonymous(stub, m);
        fill(stub, m, extents);
        return;
    }
    fail(stub, EBADMSG, "the image holds a kind of memory that its own stub does not know at",
         RangeText(m).text);
}

// Last: nothing about it can be changed from then on.
void seal(const Stub& stub, const Mapping& m) {
    if (!(m.flags & image::mapping_sealed) || m.kind == MappingKind::vdso ||
        m.kind == MappingKind::vvar) // the kernel's own, which it seals itself
        return;
    if (long r = arch::syscall(sys_mseal, m.start, m.end - m.start, 0); r < 0)
        fail(stub, int(-r),
             "cannot seal memory of the program again (mseal(2), Linux 6.10), which is at",
             RangeText(m).text);
}

} // namespace

void clear_address_space(Stub& stub) {
    stub.stage = Stage::memory;
    const image::Window& window = stub.header->window;
    long r = arch::syscall(__NR_munmap, 0, window.base);
    if (r == 0)
        r = arch::syscall(__NR_munmap, window.end, arch::address_space_end - window.end);
    if (r < 0)
        fail(stub, int(-r), "cannot clear the address space for the program's memory");
}

void restore_memory(Stub& stub) {
    stub.stage = Stage::memory;
    Walk extents(extents_of(stub, image::SectionKind::extents, stub.process->id));
    for (const Mapping& m : mappings_of(stub)) {
        restore_mapping(stub, m, extents);
        seal(stub, m);
    }
    unmap_common_memory(stub);
    end_progress(stub);
}

} // namespace rfork::stub
