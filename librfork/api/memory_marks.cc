#include "api/memory_marks.h"

#include "api/last_error.h"
#include "api/public.h"
#include "api/sections.h"
#include "process/memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace rfork::api {
namespace {

using capture::Range;
using image::Mapping;
using image::MappingKind;

constexpr std::uint64_t page = image::page_size;

// Ranges in malloc's memory, so that they travel with the program.
class Marks {
  public:
    std::span<const Range> ranges() const { return {ranges_, count_}; }

    // Joins what touches.
    bool add(Range added) {
        if (!reserve(count_ + 1))
            return false;
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            const Range& r = ranges_[i];
            if (r.end < added.start || r.start > added.end) {
                ranges_[kept++] = r;
                continue;
            }
            added.start = std::min(added.start, r.start);
            added.end = std::max(added.end, r.end);
        }
        ranges_[kept++] = added;
        count_ = kept;
        std::sort(ranges_, ranges_ + count_,
                  [](const Range& a, const Range& b) { return a.start < b.start; });
        return true;
    }

    bool remove(Range removed) {
        if (!reserve(count_ + 1))
            return false;
        for (std::size_t i = 0; i < count_; ++i) {
            Range& r = ranges_[i];
            const Range tail{std::max(r.start, removed.end), r.end};
            if (removed.end <= r.start || removed.start >= r.end)
                continue;
            r.end = std::max(r.start, removed.start);
            if (tail.start < tail.end) {
                std::memmove(ranges_ + i + 2, ranges_ + i + 1, (count_ - i - 1) * sizeof r);
                ranges_[i + 1] = tail;
                ++count_;
            }
        }
        count_ = std::size_t(std::remove_if(ranges_, ranges_ + count_,
                                            [](const Range& r) { return r.start == r.end; }) -
                             ranges_);
        return true;
    }

  private:
    bool reserve(std::size_t count) {
        if (count <= capacity_)
            return true;
        const std::size_t more = count * 2;
        void* grown = std::realloc(ranges_, more * sizeof(Range));
        if (!grown)
            return false;
        ranges_ = static_cast<Range*>(grown);
        capacity_ = more;
        return true;
    }

    Range* ranges_ = nullptr;
    std::size_t count_ = 0;
    std::size_t capacity_ = 0;
};

Marks excluded, read_only;

int mark(const void* address, std::size_t length, bool (*change)(Range)) {
    const auto start = reinterpret_cast<std::uint64_t>(address);
    std::uint64_t end;
    if (!address || __builtin_add_overflow(start, length, &end))
        return fail({EINVAL, "the memory to mark begins at a null pointer, or ends beyond the end "
                             "of the address space"});
    if (length == 0)
        return 0;
    const UnfrozenList list;
    if (!change({start, end}))
        return fail({ENOMEM, "no memory to remember a mark: free some"});
    return 0;
}

void fill_with_zeroes(std::uint64_t start, std::uint64_t end) {
    volatile std::uint8_t* at = reinterpret_cast<std::uint8_t*>(start);
    for (; at < reinterpret_cast<std::uint8_t*>(end); at = at + 1)
        *at = 0;
}

// Whole pages of anonymous memory are given back; the rest is written over.
Result<void> clear(const Mapping& m, Range range) {
    const std::uint64_t first = range.start / page * page;
    const std::uint64_t behind = (range.end + page - 1) / page * page;
    if (mprotect(reinterpret_cast<void*>(first), behind - first, PROT_READ | PROT_WRITE) != 0)
        return system_error(errno, "cannot clear the memory that rfork_exclude() has named");
    const std::uint64_t inner_start = (range.start + page - 1) / page * page;
    const std::uint64_t inner_end = range.end / page * page;
    if (m.kind == MappingKind::file_content || inner_start >= inner_end) {
        fill_with_zeroes(range.start, range.end);
        return {};
    }
    fill_with_zeroes(range.start, inner_start);
    fill_with_zeroes(inner_end, range.end);
    if (madvise(reinterpret_cast<void*>(inner_start), inner_end - inner_start, MADV_DONTNEED) != 0)
        return system_error(errno, "cannot clear the memory that rfork_exclude() has named");
    return {};
}

} // namespace

extern "C" RFORK_API int rfork_exclude(void* address, std::size_t length) {
    return mark(address, length, [](Range r) { return excluded.add(r); });
}

extern "C" RFORK_API int rfork_readonly(const void* address, std::size_t length) {
    return mark(address, length, [](Range r) { return read_only.add(r); });
}

extern "C" RFORK_API int rfork_include(const void* address, std::size_t length) {
    return mark(address, length, [](Range r) { return excluded.remove(r) && read_only.remove(r); });
}

std::span<const Range> excluded_memory() {
    return excluded.ranges();
}

std::span<const Range> read_only_memory() {
    return read_only.ranges();
}

// In the copy, mappings of one shared memory are private copies of it, which are all to be the
// same.
Result<void> clear_excluded_memory(const std::vector<Mapping>& mappings) {
    const std::vector<Range> ranges = capture::with_aliases(mappings, excluded.ranges());
    for (const Mapping& m : mappings) {
        if (m.kind != MappingKind::anonymous && m.kind != MappingKind::shared_memory &&
            m.kind != MappingKind::file_content)
            continue;
        for (const Range& r : ranges) {
            const Range part{std::max(r.start, m.start), std::min(r.end, m.end)};
            if (part.start < part.end)
                if (Result<void> cleared = clear(m, part); !cleared)
                    return cleared;
        }
    }
    return {};
}

} // namespace rfork::api
