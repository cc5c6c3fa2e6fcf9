#include "format/kinds.h"
#include "format/records/resource_limits.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_resource_limits(const capture::Source& source,
                                     capture::ProcessSnapshot& process) {
    const capture::Beginnings& beginnings = source.beginnings();
    ResourceLimitsRecord record{};
    record.beginnings = source.beginnings_address();
    for (unsigned i = 0; i < limit_count; ++i) {
        const Limit limit = record.limits[i] = source.limit(i);
        record.own_soft |= unsigned(limit.soft != beginnings.limits[i].soft) << i;
        record.own_hard |= unsigned(limit.hard != beginnings.limits[i].hard) << i;
    }
    process.records.add(image::Kind::resource_limits, record);
    return {};
}

} // namespace rfork::kinds
