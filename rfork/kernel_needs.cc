#include "kernel_needs.h"

#include "format/kinds.h"
#include "format/records/attributes.h"
#include "format/records/membarrier.h"
#include "records.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

bool has_droppable_memory() {
    constexpr int droppable = 8; // MAP_DROPPABLE
    void* page = ::mmap(nullptr, image::page_size, PROT_READ, droppable | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && ::munmap(page, image::page_size) == 0;
}

bool has_sealing() {
    constexpr long mseal = 462;
    return ::syscall(mseal, 0, 0, 0) == 0; // of no memory
}

bool has_mdwe() {
    constexpr int get_mdwe = 66; // PR_GET_MDWE
    return ::prctl(get_mdwe, 0, 0, 0, 0) >= 0;
}

bool has_barriers(std::uint64_t registrations) {
    const long here = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return here >= 0 && (registrations & ~static_cast<std::uint64_t>(here)) == 0;
}

// Those of which a kernel may lack some.
std::uint64_t registered_barriers(const image::Image& image) {
    std::uint64_t registrations = 0;
    each_state<kinds::MembarrierRecord>(image, image::Kind::membarrier, [&](const auto& record) {
        registrations |= record.registrations;
    });
    return registrations & ~std::uint64_t(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

bool denies_write_execute(const image::Image& image) {
    bool denies = false;
    each_state<kinds::AttributesRecord>(image, image::Kind::attributes, [&](const auto& record) {
        denies = denies || record.deny_write_execute;
    });
    return denies;
}

std::uint32_t all_mapping_flags(const image::Image& image) {
    std::uint32_t flags = 0;
    for (const image::Process& process : image.processes())
        for (const image::Mapping& mapping : image.mappings(process.id))
            flags |= mapping.flags;
    return flags;
}

} // namespace

Release running_release() {
    utsname name{};
    ::uname(&name);
    Release release;
    std::sscanf(name.release, "%u.%u", &release.major, &release.minor);
    return release;
}

std::string release_text(const Release& release) {
    return std::to_string(release.major) + "." + std::to_string(release.minor);
}

std::vector<KernelNeed> kernel_needs(const image::Image& image) {
    std::vector<KernelNeed> needs{
        {oldest_release, "all images", running_release() >= oldest_release}};
    const std::uint32_t flags = all_mapping_flags(image);
    if (flags & image::mapping_droppable)
        needs.push_back(
            {{6, 11}, "memory that may be dropped (MAP_DROPPABLE)", has_droppable_memory()});
    if (flags & image::mapping_sealed)
        needs.push_back({{6, 10}, "sealed memory (mseal(2))", has_sealing()});
    if (denies_write_execute(image))
        needs.push_back(
            {{6, 3}, "memory that is not written and executed (PR_SET_MDWE)", has_mdwe()});
    if (const std::uint64_t barriers = registered_barriers(image)) {
        const bool rseq = barriers & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;
        needs.push_back({rseq ? Release{5, 10} : Release{4, 16}, "memory barriers (membarrier(2))",
                         has_barriers(barriers)});
    }
    return needs;
}

Release oldest_kernel(const std::vector<KernelNeed>& needs) {
    return std::ranges::max(needs, {}, &KernelNeed::since).since;
}

} // namespace rfork::tool
