#include "traced/twin_pages.h"

#include "process/page_bounds.h"
#include "process/peek.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/syscall.h>

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = image::page_size;

std::string file_of(pid_t pid, const char* name) {
    return "/proc/" + std::to_string(pid) + "/" + name;
}

} // namespace

volatile bool TwinPages::interrupted = false;

Result<std::unique_ptr<TwinPages>> TwinPages::open(const Twin& twin) {
    UniqueFd pagemap(::open(file_of(twin.pid(), "pagemap").c_str(), O_RDONLY | O_CLOEXEC));
    UniqueFd memory(::open(file_of(twin.pid(), "mem").c_str(), O_RDONLY | O_CLOEXEC));
    if (!pagemap || !memory)
        return system_error(errno, "cannot look at the memory of a copy of the process");
    return std::unique_ptr<TwinPages>(new TwinPages(twin, std::move(pagemap), std::move(memory)));
}

// What the object has in memory, by mincore(2) in the twin's name: nothing of it need be in the
// twin's own tables. Read in where it has holes, it would fill them.
Result<void> TwinPages::find_resident(Range range, std::vector<Range>& pages) {
    if (swap_in_use()) {
        const Result<std::uint64_t> end = end_of_file(twin_.pid(), range);
        if (!end)
            return end.error();
        if (*end > range.start)
            pages.push_back({range.start, *end});
        return {};
    }
    std::vector<std::uint8_t> resident(twin_.buffer_size());
    for (std::uint64_t at = range.start; at < range.end;) {
        const std::uint64_t size = std::min<std::uint64_t>(resident.size() * page, range.end - at);
        const Result<long> r = twin_.call(SYS_mincore, at, size, twin_.buffer());
        if (!r)
            return r.error();
        const std::size_t count = size / page;
        if (*r < 0 ||
            peek_bytes(twin_.pid(), twin_.buffer(), resident.data(), count) != long(count))
            return system_error(*r < 0 ? int(-*r) : EIO,
                                "cannot find out which pages of shared memory are in use");
        for (std::size_t i = 0; i < count; ++i)
            if (resident[i] & 1)
                add_pages(pages, {at + i * page, at + (i + 1) * page});
        at += size;
    }
    return {};
}

Result<void> TwinPages::keep(const image::Mapping& mapping) {
    std::vector<Range> pages;
    if (Result<void> r = find_pages(mapping, pages); !r)
        return r;
    for (const Range& range : pages) {
        Kept kept{range, std::unique_ptr<std::uint8_t[]>(new std::uint8_t[range.size()])};
        const Result<std::uint64_t> got = read(range, kept.bytes.get());
        if (!got)
            return got.error();
        kept.range.end = range.start + *got;
        kept_.push_back(std::move(kept));
    }
    std::sort(kept_.begin(), kept_.end(),
              [](const Kept& a, const Kept& b) { return a.range.start < b.range.start; });
    kept_from_.push_back({mapping.start, mapping.end});
    return {};
}

Result<void> TwinPages::find_pages(const image::Mapping& mapping, std::vector<Range>& pages) {
    const Range range{mapping.start, mapping.end};
    switch (mapping.kind) {
    case image::MappingKind::anonymous:
        return pagemap_.find_touched(range, pages);
    case image::MappingKind::shared_memory:
        for (const Range& mapped : kept_from_) {
            if (mapped.start != range.start)
                continue;
            for (const Kept& kept : kept_)
                if (kept.range.start >= range.start && kept.range.start < range.end)
                    pages.push_back(kept.range);
            return {};
        }
        return find_resident(range, pages);
    case image::MappingKind::file_content: {
        if (Result<void> r = pagemap_.check_guards(range); !r)
            return r;
        const Result<std::uint64_t> end = end_of_file(twin_.pid(), range);
        if (!end)
            return end.error();
        if (*end > range.start)
            pages.push_back({range.start, *end});
        return {};
    }
    case image::MappingKind::vdso:
        pages.push_back(range);
        return {};
    case image::MappingKind::file_shared: // the file has them
    case image::MappingKind::vvar:        // nobody can read them but the vDSO
        break;
    }
    return {};
}

Result<std::span<const std::uint8_t>> TwinPages::bytes(Range range) {
    buffer_.resize(range.size());
    const Result<std::uint64_t> got = read(range, buffer_.data());
    if (!got)
        return got.error();
    std::fill(buffer_.begin() + std::ptrdiff_t(*got), buffer_.end(), std::uint8_t(0));
    return std::span<const std::uint8_t>(buffer_);
}

const TwinPages::Kept* TwinPages::kept_at(std::uint64_t address) const {
    const auto behind =
        std::upper_bound(kept_.begin(), kept_.end(), address,
                         [](std::uint64_t at, const Kept& kept) { return at < kept.range.start; });
    return behind != kept_.begin() && address < std::prev(behind)->range.end ? &*std::prev(behind)
                                                                             : nullptr;
}

// Where the program itself may not read, /proc/PID/mem can.
Result<std::uint64_t> TwinPages::read(Range range, std::uint8_t* to) {
    if (interrupted)
        return Error{EINTR, "interrupted"};
    if (const Kept* kept = kept_at(range.start)) {
        const std::uint64_t size = std::min(range.end, kept->range.end) - range.start;
        std::copy_n(kept->bytes.get() + (range.start - kept->range.start), size, to);
        return size;
    }
    std::uint64_t done = 0;
    while (done < range.size()) {
        const std::uint64_t left = range.size() - done;
        long got = peek_bytes(twin_.pid(), range.start + done, to + done, left);
        if (got == -EFAULT) {
            got = pread(memory_.get(), to + done, left, off_t(range.start + done));
            if (got < 0)
                got = -errno;
            if (got == -EIO || got == 0)
                break; // behind the end of a mapped file
        }
        if (got < 0)
            return system_error(int(-got), "cannot read memory of the process");
        done += std::uint64_t(got);
    }
    return done / page * page;
}

} // namespace rfork::capture
