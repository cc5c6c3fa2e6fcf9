#include "process/kept_from_forks.h"

#include "base/proc.h"
#include "base/unique_fd.h"
#include "process/memory.h"
#include "process/memory_map.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

bool advise(Range range, int advice) {
    return madvise(reinterpret_cast<void*>(range.start), range.size(), advice) == 0;
}

// What the kernel would not let be kept again: of sealed memory that cannot be written, this counts
// as throwing it away.
bool stays_given(const MemoryMapEntry& e) {
    return (e.flags & vm_sealed) && !(e.prot & PROT_WRITE);
}

} // namespace

Result<std::uint64_t> mapped_pages(const std::string& directory) {
    std::string text;
    if (const int error = read_text(AT_FDCWD, (directory + "/statm").c_str(), text))
        return system_error(error, "cannot read " + directory + "/statm", "mount /proc");
    return std::strtoull(text.c_str(), nullptr, 10);
}

Result<bool> lacks_memory(std::uint64_t pages) {
    const Result<std::uint64_t> mapped = mapped_pages("/proc/self");
    if (!mapped)
        return mapped.error();
    return *mapped < pages;
}

Result<void> KeptFromForks::give(const std::string& directory) {
    UniqueFd smaps(open((directory + "/smaps").c_str(), O_RDONLY | O_CLOEXEC));
    if (!smaps)
        return system_error(errno, "cannot read " + directory + "/smaps", "mount /proc");
    const auto entries = read_memory_map(smaps.get());
    if (!entries)
        return entries.error();
    for (const MemoryMapEntry& e : *entries) {
        if (!(e.flags & vm_dontfork) || e.name == "[uprobes]") // every process gets its own
            continue;
        Result<void> possible = check_can_carry(e);
        if (possible && (stays_given(e) || !advise({e.start, e.end}, MADV_DOFORK)))
            possible = cannot_carry(e, "kept from forks (MADV_DONTFORK), and the kernel insists",
                                    "unmap it first");
        if (!possible) {
            keep_again();
            return possible;
        }
        given_.push_back({e.start, e.end});
    }
    return {};
}

void KeptFromForks::keep_again() {
    for (const Range& range : given_)
        advise(range, MADV_DONTFORK);
    given_.clear();
}

} // namespace rfork::capture
