// Which pages of our own memory can hold anything.
//
// Private anonymous memory: those present or swapped out, and not the zero page. PAGEMAP_SCAN skips
// what was never touched, terabytes of it at once; /proc/self/pagemap, the older way, has an entry
// for each page whether it is there or not.
//
// Shared anonymous memory: fork(2) does not copy its page tables, so a copy of the process has
// nothing to show there. mincore(2) tells what the object itself has in memory, but nothing of what
// is swapped out; read in where it has holes, it would fill them. So where swap is in use, all
// pages count.
#include "process/own_pages.h"

#include "process/own_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = image::page_size;

// <linux/fs.h> of Linux 6.7; Debian 12's headers are older.
struct ScannedRegion {
    std::uint64_t start, end, categories;
};
struct ScanArgument {
    std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
constexpr unsigned long pagemap_scan = _IOWR('f', 16, ScanArgument);
constexpr std::uint64_t page_is_present = 1 << 3, page_is_swapped = 1 << 4,
                        page_is_pfnzero = 1 << 5, page_is_guard = 1 << 8; // guard: Linux 6.15
constexpr std::uint64_t table_guard = std::uint64_t(1) << 58;             // in /proc/PID/pagemap

constexpr int madvise_populate_read = 22; // Linux 5.14; before it, pages are read the slow way

// Not by memcpy(3): no wrapper around it is to see the program's memory.
void copy_bytes(void* to, std::uint64_t from, std::uint64_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

void add(std::vector<Range>& pages, Range range) {
    if (!pages.empty() && pages.back().end == range.start)
        pages.back().end = range.end;
    else
        pages.push_back(range);
}

Error guarded(std::uint64_t address) {
    char text[24];
    std::snprintf(text, sizeof text, "%lx", static_cast<unsigned long>(address));
    return {ENOTSUP,
            "the memory at " + std::string(text) +
                " is a guard region (MADV_GUARD_INSTALL), which an image cannot carry yet: "
                "remove it first (MADV_GUARD_REMOVE)"};
}

// By system call: a kernel that does not know it says so, and errno is already the program's.
long scan(int pagemap, const ScanArgument& argument) {
    return arch::syscall(SYS_ioctl, pagemap, pagemap_scan, &argument);
}

Result<void> make_readable(const image::Mapping& m) {
    if (!(m.prot & PROT_READ) &&
        mprotect(reinterpret_cast<void*>(m.start), m.end - m.start, PROT_READ) != 0)
        return system_error(errno, "cannot make memory of the process readable",
                            "it may be sealed (mseal(2)): leave it readable");
    return {};
}

// A mapping may be longer than its file, and pages behind the end of the file are none: SIGBUS. No
// other error than EFAULT says that they are.
Result<std::uint64_t> end_of_file(Range mapping) {
    std::uint64_t there = mapping.start, behind = mapping.end; // the first that may be none
    for (std::uint64_t at = mapping.end - page; there < behind;
         at = there + (behind - there) / page / 2 * page) {
        char byte;
        const long r = peek_own(at, &byte, sizeof byte);
        if (r == 1)
            there = at + page;
        else if (r == -EFAULT)
            behind = at;
        else
            return cannot_peek(r);
    }
    return there;
}

// By system call: errno is part of the program's memory, and stays as it is to be.
bool swap_in_use() {
    struct sysinfo info {};
    return arch::syscall(SYS_sysinfo, &info) != 0 || info.freeswap != info.totalswap;
}

Result<void> add_up_to_end_of_file(Range range, std::vector<Range>& pages) {
    const Result<std::uint64_t> end = end_of_file(range);
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
    return OwnPages(std::move(pagemap));
}

Result<void> OwnPages::find_pages(const image::Mapping& mapping, std::vector<Range>& pages) {
    const Range range{mapping.start, mapping.end};
    switch (mapping.kind) {
    case image::MappingKind::anonymous:
        if (Result<void> r = find_touched(range, pages); !r)
            return r;
        break;
    case image::MappingKind::shared_memory:
        if (Result<void> r = swap_in_use() ? make_readable(mapping) : Result<void>(); !r)
            return r; // to find out where it ends
        if (Result<void> r = find_resident(range, pages); !r)
            return r;
        break;
    case image::MappingKind::file_content:
        if (Result<void> r = check_guards(range); !r)
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

// In anonymous memory find_touched() comes across them. Kernels that know no PAGE_IS_GUARD know no
// guard regions in file mappings either.
Result<void> OwnPages::check_guards(Range range) {
    ScannedRegion region{};
    ScanArgument argument{};
    argument.size = sizeof argument;
    argument.start = range.start;
    argument.end = range.end;
    argument.vec = reinterpret_cast<std::uint64_t>(&region);
    argument.vec_len = 1;
    argument.category_mask = page_is_guard;
    argument.return_mask = page_is_guard;
    if (scan_ != Scan::with_guards)
        return {};
    const long count = scan(pagemap_.get(), argument);
    if (count < 0)
        scan_ = Scan::plain;
    if (count > 0)
        return guarded(region.start);
    return {};
}

Result<void> OwnPages::find_touched(Range range, std::vector<Range>& pages) {
    ScannedRegion regions[256];
    ScanArgument argument{};
    argument.size = sizeof argument;
    argument.start = range.start;
    argument.end = range.end;
    argument.vec = reinterpret_cast<std::uint64_t>(regions);
    argument.vec_len = sizeof regions / sizeof regions[0];
    argument.category_inverted = page_is_pfnzero; // not the zero page ...
    argument.category_mask = page_is_pfnzero;
    while (scan_ != Scan::none && argument.start < range.end) {
        const std::uint64_t guard = scan_ == Scan::with_guards ? page_is_guard : 0;
        argument.category_anyof_mask =
            page_is_present | page_is_swapped | guard; // ... but something
        argument.return_mask = guard;
        const long count = scan(pagemap_.get(), argument);
        if (count < 0) { // an older kernel, which says so at its first call
            scan_ = scan_ == Scan::with_guards ? Scan::plain : Scan::none;
            continue;
        }
        for (long i = 0; i < count; ++i) {
            if (regions[i].categories & page_is_guard)
                return guarded(regions[i].start);
            add(pages, {regions[i].start, regions[i].end});
        }
        argument.start = argument.walk_end;
    }
    if (argument.start == range.end)
        return {};
    return find_touched_by_table({argument.start, range.end}, pages);
}

Result<void> OwnPages::find_touched_by_table(Range range, std::vector<Range>& pages) {
    constexpr std::uint64_t present = std::uint64_t(1) << 63, swapped = std::uint64_t(1) << 62;
    std::vector<std::uint64_t>& entries = table_;
    entries.resize(32 * 1024);
    for (std::uint64_t at = range.start; at < range.end;) {
        std::uint64_t wanted = (range.end - at) / page;
        if (wanted > entries.size())
            wanted = entries.size();
        const ssize_t got = pread(pagemap_.get(), entries.data(), wanted * sizeof entries[0],
                                  off_t(at / page * sizeof entries[0]));
        if (got < ssize_t(sizeof entries[0]))
            return system_error(got < 0 ? errno : EIO, "cannot read /proc/self/pagemap");
        const std::uint64_t count = std::uint64_t(got) / sizeof entries[0];
        for (std::uint64_t i = 0; i < count; ++i) {
            if (entries[i] & table_guard)
                return guarded(at + i * page);
            if (entries[i] & (present | swapped))
                add(pages, {at + i * page, at + (i + 1) * page});
        }
        at += count * page;
    }
    return {};
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
                add(pages, {at + i * page, at + (i + 1) * page});
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
