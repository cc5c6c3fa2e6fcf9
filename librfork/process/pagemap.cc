#include "process/pagemap.h"

#include "arch/arch.h"

#include <cerrno>
#include <cstdio>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

} // namespace

void add_pages(std::vector<Range>& pages, Range range) {
    if (!pages.empty() && pages.back().end == range.start)
        pages.back().end = range.end;
    else
        pages.push_back(range);
}

// In anonymous memory find_touched() comes across them. Kernels that know no PAGE_IS_GUARD know no
// guard regions in file mappings either.
Result<void> Pagemap::check_guards(Range range) {
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
    const long count = scan(fd_.get(), argument);
    if (count < 0)
        scan_ = Scan::plain;
    if (count > 0)
        return guarded(region.start);
    return {};
}

Result<void> Pagemap::find_touched(Range range, std::vector<Range>& pages) {
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
        const long count = scan(fd_.get(), argument);
        if (count < 0) { // an older kernel, which says so at its first call
            scan_ = scan_ == Scan::with_guards ? Scan::plain : Scan::none;
            continue;
        }
        for (long i = 0; i < count; ++i) {
            if (regions[i].categories & page_is_guard)
                return guarded(regions[i].start);
            add_pages(pages, {regions[i].start, regions[i].end});
        }
        argument.start = argument.walk_end;
    }
    if (argument.start == range.end)
        return {};
    return find_touched_by_table({argument.start, range.end}, pages);
}

Result<void> Pagemap::find_touched_by_table(Range range, std::vector<Range>& pages) {
    constexpr std::uint64_t present = std::uint64_t(1) << 63, swapped = std::uint64_t(1) << 62;
    std::vector<std::uint64_t>& entries = table_;
    entries.resize(32 * 1024);
    for (std::uint64_t at = range.start; at < range.end;) {
        std::uint64_t wanted = (range.end - at) / page;
        if (wanted > entries.size())
            wanted = entries.size();
        const ssize_t got = pread(fd_.get(), entries.data(), wanted * sizeof entries[0],
                                  off_t(at / page * sizeof entries[0]));
        if (got < ssize_t(sizeof entries[0]))
            return system_error(got < 0 ? errno : EIO, "cannot read /proc/PID/pagemap");
        const std::uint64_t count = std::uint64_t(got) / sizeof entries[0];
        for (std::uint64_t i = 0; i < count; ++i) {
            if (entries[i] & table_guard)
                return guarded(at + i * page);
            if (entries[i] & (present | swapped))
                add_pages(pages, {at + i * page, at + (i + 1) * page});
        }
        at += count * page;
    }
    return {};
}

} // namespace rfork::capture
