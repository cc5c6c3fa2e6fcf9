#include "format/kinds.h"
#include "format/records/membarrier.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_membarrier(const capture::Source& source, capture::ProcessSnapshot& process) {
    MembarrierRecord record{};
    record.registrations = source.facts().membarriers;
    if (record.registrations)
        process.records.add(image::Kind::membarrier, record);
    return {};
}

} // namespace rfork::kinds
