#include "process/private_copy.h"

#include "base/proc.h"
#include "process/memory.h"
#include "process/own_pages.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = image::page_size;

// By words, as no wrapper around memcpy(3) is to see the program's memory.
void copy_page(std::uint64_t to, std::uint64_t from) {
    auto* target = reinterpret_cast<std::uint64_t*>(to);
    const auto* source = reinterpret_cast<const std::uint64_t*>(from);
    for (std::uint64_t i = 0; i < page / sizeof *target; ++i)
        target[i] = source[i];
}

Error failed(int error) {
    return system_error(error, "cannot copy memory that the process shares",
                        "free memory, or allow more of it to be promised");
}

Result<void> replace(const image::Mapping& m, Range part) {
    if (m.flags & image::mapping_sealed)
        return Error{ENOTSUP, "shared memory of the process is sealed (mseal(2)), and so cannot be "
                              "copied while the program goes on, which an image cannot carry yet: "
                              "leave it unsealed"};
    const std::uint64_t size = part.size();
    void* old = reinterpret_cast<void*>(part.start);
    void* fresh = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fresh == MAP_FAILED)
        return failed(errno);
    if (!(m.prot & PROT_READ) && mprotect(old, size, PROT_READ) != 0)
        return failed(errno);
    std::vector<Range> pages;
    if (Result<void> r = find_resident(part, pages); !r)
        return r;
    const std::uint64_t distance = reinterpret_cast<std::uint64_t>(fresh) - part.start;
    for (const Range& range : pages)
        for (std::uint64_t at = range.start; at < range.end; at += page)
            copy_page(at + distance, at);
    if (mremap(fresh, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, old) == MAP_FAILED)
        return failed(errno);
    return {};
}

} // namespace

Result<bool> has_shared_memory(std::span<const Range> own) {
    std::string text;
    if (const int error = read_text(AT_FDCWD, "/proc/self/maps", text))
        return system_error(error, "cannot read /proc/self/maps", "mount /proc");
    for (const char* name : {"/dev/zero (deleted)", "[anon_shmem:", "/memfd:"})
        for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; ++at) {
            const std::size_t line = text.rfind('\n', at) + 1; // npos + 1 is the first
            const std::uint64_t start = std::strtoull(text.c_str() + line, nullptr, 16);
            if (std::none_of(own.begin(), own.end(),
                             [start](const Range& r) { return start >= r.start && start < r.end; }))
                return true;
        }
    return false;
}

Result<void> make_private(const std::vector<image::Mapping>& mappings,
                          std::span<const Range> read_only, std::span<const Range> anyway) {
    std::vector<Range> whole; // the pages that are to be private in any case
    for (const Range& r : with_aliases(mappings, anyway))
        whole.push_back({r.start / page * page, (r.end + page - 1) / page * page});
    std::vector<Range> steady; // the pages that are read-only as a whole
    for (const Range& r : read_only) {
        const Range inner{(r.start + page - 1) / page * page, r.end / page * page};
        if (inner.start < inner.end)
            for (const Range& rest : without(inner, whole))
                steady.push_back(rest);
    }
    for (const image::Mapping& m : mappings) {
        if (m.kind != image::MappingKind::shared_memory)
            continue;
        for (const Range& part : without({m.start, m.end}, steady))
            if (Result<void> r = replace(m, part); !r)
                return r;
    }
    return {};
}

} // namespace rfork::capture
