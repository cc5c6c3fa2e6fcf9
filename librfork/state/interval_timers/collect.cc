#include "format/kinds.h"
#include "format/records/interval_timers.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_interval_timers(const capture::Source& source,
                                     capture::ProcessSnapshot& process) {
    IntervalTimersRecord record{};
    bool any = false;
    for (unsigned which = 0; which < interval_timer_count; ++which) {
        const IntervalTimer& timer = source.facts().interval_timers[which];
        record.timers[which] = timer;
        any = any || timer.interval || timer.remaining;
    }
    if (any)
        process.records.add(image::Kind::interval_timers, record);
    return {};
}

} // namespace rfork::kinds
