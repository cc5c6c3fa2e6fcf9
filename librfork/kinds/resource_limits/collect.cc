#include "capture/beginnings.h"
#include "kinds/collectors.h"
#include "kinds/resource_limits/record.h"

#include <sys/syscall.h>

namespace rfork::kinds {

// The copy's are those of the process.
Result<void> collect_resource_limits(const capture::Source&, capture::Snapshot& snapshot) {
    const capture::Beginnings& beginnings = capture::beginnings();
    ResourceLimitsRecord record{};
    record.beginnings = reinterpret_cast<std::uint64_t>(beginnings.limits);
    for (unsigned i = 0; i < limit_count; ++i) {
        Limit& limit = record.limits[i];
        arch::syscall(SYS_prlimit64, 0, i, nullptr, &limit);
        record.own_soft |= unsigned(limit.soft != beginnings.limits[i].soft) << i;
        record.own_hard |= unsigned(limit.hard != beginnings.limits[i].hard) << i;
    }
    snapshot.records.add(image::Kind::resource_limits, record);
    return {};
}

} // namespace rfork::kinds
