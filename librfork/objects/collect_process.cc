#include "objects/collect_process.h"

#include "objects/descriptors.h"
#include "objects/table_of_kinds.h"
#include "process/children.h"
#include "process/memory.h"
#include "process/provenance.h"

#include <cerrno>

namespace rfork::kinds {
namespace {

// What an image cannot carry (ENOTSUP) is told when all of it has been found.
Result<void> go_on(capture::Snapshot& snapshot, Result<void> r) {
    if (r || r.error().code != ENOTSUP)
        return r;
    snapshot.obstacles.add(r.error().sentence);
    return {};
}

Result<void> check_children(const capture::Source& source, const Children& children,
                            capture::Snapshot& snapshot) {
    Result<void> r = capture::check_no_children(source, children.ours);
    if (r || r.error().code != ENOTSUP)
        return r;
    snapshot.obstacles.add_children(r.error().sentence);
    return {};
}

} // namespace

Result<void> collect_process(const capture::Source& source, const Children& children,
                             capture::ProcessSnapshot& process) {
    capture::Snapshot& snapshot = process.all;
    if (Result<void> r = go_on(snapshot, source.check_capturable()); !r)
        return r;
    if (!children.stay_behind)
        if (Result<void> r = check_children(source, children, snapshot); !r)
            return r;
    Result<capture::Identity> identity = source.identity();
    if (!identity)
        return identity.error();
    process.identity = std::move(*identity);
    if (Result<void> r = sort_descriptors(source, process); !r)
        return r;
    for (Collector collector : collectors())
        if (Result<void> r = go_on(snapshot, collector(source, process)); !r)
            return r;
    if (snapshot.obstacles.any())
        return snapshot.obstacles.error();
    return check_complete(process);
}

Result<void> collect_memory(const capture::Source& source, std::span<const capture::Range> own,
                            capture::ProcessSnapshot& process) {
    Result<std::vector<capture::MemoryMapEntry>> entries = source.memory_map();
    if (!entries)
        return entries.error();
    const auto provenance = capture::Provenance::of(source);
    for (capture::MemoryMapEntry& entry : *entries)
        provenance.restore(entry);
    if (Result<void> r = capture::classify_memory(source, *entries, own, process); !r)
        return r;
    if (Result<void> r = add_mapped_files(source, process); !r)
        return r;
    measure_shared_memory(source, process);
    return check_not_mapped(process);
}

} // namespace rfork::kinds
