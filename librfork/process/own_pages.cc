// Which pages of our own memory can hold anything.
//
// Private anonymous memory: pagemap.h. Shared anonymous memory: fork(2) does not copy its page
// tables, so a copy of the process has nothing to show there. mincore(2) tells what the object
// itself has in memory, but nothing of what is swapped out; read in where it has holes, it would
// fill them. So where swap is in use, all pages count.
#include "process/own_pages.h"

#include "process/own_memory.h"
#include "process/page_bounds.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = image::page_size;

constexpr int madvise_populate_read = 22; // Linux 5.14; before it, pages are read the slow way

// Not by memcpy(3): no wrapper around it is to see the program's memory.
void copy_bytes(void* to, std::uint64_t from, std::uint64_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

Result<void> make_readable(const image::Mapping& m) {
    if (!(m.prot & PROT_READ) &&
        mprotect(reinterpret_cast<void*>(m.start), m.end - m.start, PROT_READ) != 0)
        return system_error(errno, "cannot make memory of the process readable",
                            "it may be sealed (mseal(2)): leave it readable");
    return {};
}

Result<void> add_up_to_end_of_file(Range range, std::vector<Range>& pages) {
    const Result<std::uint64_t> end = end_of_file(pid_t(arch::syscall(SYS_getpid)), range);
    if (!end)
        return end.error();
    if (*end > range.start)
        pages.push_back({range.start, *end});
    return {};
}

} // namespace

Result<OwnPages> OwnPages::open() {
    UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!pagemap)
        return system_error(errno, "cannot read /proc/self/pagemap");
    return OwnPages(Pagemap(std::move(pagemap)));
}

Result<void> OwnPages::find_pages(const image::Mapping& mapping, std::vector<Range>& pages) {
    const Range range{mapping.start, mapping.end};
    switch (mapping.kind) {
    case image::MappingKind::anonymous:
        if (Result<void> r = pagemap_.find_touched(range, pages); !r)
            return r;
        break;
    case image::MappingKind::shared_memory:
        if (Result<void> r = swap_in_use() ? make_readable(mapping) : Result<void>(); !r)
            return r; // to find out where it ends
        if (Result<void> r = find_resident(range, pages); !r)
            return r;
        break;
    case image::MappingKind::file_content:
        if (Result<void> r = pagemap_.check_guards(range); !r)
            return r;
        of_files_.push_back(range);
        if (Result<void> r = make_readable(mapping); !r)
            return r;
        if (Result<void> r = add_up_to_end_of_file(range, pages); !r)
            return r;
        break;
    case image::MappingKind::vdso:
        pages.push_back(range);
        break;
    case image::MappingKind::file_shared: // the file has them
    case image::MappingKind::vvar:        // nobody can read them but the vDSO
        break;
    }
    return pages.empty() ? Result<void>()
                         : make_readable(mapping); // what holds nothing is not read
}

Result<void> find_resident(Range range, std::vector<Range>& pages) {
    if (swap_in_use())
        return add_up_to_end_of_file(range, pages);
    std::vector<unsigned char> resident(
        std::min<std::uint64_t>(64 * 1024, (range.end - range.start) / page));
    for (std::uint64_t at = range.start; at < range.end;) {
        std::uint64_t size = resident.size() * page;
        if (size > range.end - at)
            size = range.end - at;
        if (mincore(reinterpret_cast<void*>(at), size, resident.data()) != 0)
            return system_error(errno, "cannot find out which pages of shared memory are in use");
        for (std::uint64_t i = 0; i < size / page; ++i)
            if (resident[i] & 1)
                add_pages(pages, {at + i * page, at + (i + 1) * page});
        at += size;
    }
    return {};
}

Result<std::span<const std::uint8_t>> OwnPages::bytes(Range range) {
    return std::span(reinterpret_cast<const std::uint8_t*>(range.start), range.size());
}

// Whether it can be read without a SIGBUS. (A file that becomes shorter after this was asked ends
// the copy, and so the call.)
bool OwnPages::is_there(Range range) const {
    const auto behind =
        std::upper_bound(of_files_.begin(), of_files_.end(), range.start,
                         [](std::uint64_t start, const Range& file) { return start < file.start; });
    if (behind == of_files_.begin() || range.start >= std::prev(behind)->end)
        return true;
    return arch::syscall(SYS_madvise, range.start, range.size(), madvise_populate_read) == 0;
}

Result<std::uint64_t> OwnPages::read(Range range, std::uint8_t* to) {
    if (is_there(range)) {
        copy_bytes(to, range.start, range.size());
        return range.size();
    }
    std::uint64_t done = 0;
    while (done < range.size()) {
        const long got = peek_own(range.start + done, to + done, range.size() - done);
        if (got == -EFAULT)
            break; // behind the end of a mapped file
        if (got <= 0)
            return system_error(got < 0 ? int(-got) : EIO, "cannot read memory of the process");
        done += std::uint64_t(got);
    }
    return done / page * page;
}

} // namespace rfork::capture
