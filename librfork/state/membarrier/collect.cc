#include "format/records/membarrier.h"
#include "process/collectors.h"

namespace rfork::kinds {

Result<void> collect_membarrier(const capture::Source& source, capture::Snapshot& snapshot) {
    MembarrierRecord record{};
    record.registrations = source.facts().membarriers;
    if (record.registrations)
        snapshot.records.add(image::Kind::membarrier, record);
    return {};
}

} // namespace rfork::kinds
