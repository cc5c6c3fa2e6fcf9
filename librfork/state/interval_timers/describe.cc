#include "describe/describe.h"
#include "format/records/interval_timers.h"

namespace rfork::tool {

Lines describe_interval_timers(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::IntervalTimersRecord>(
        whole, [](const kinds::IntervalTimersRecord& record) -> Lines {
            static constexpr const char* names[] = {"real", "virtual", "profiling"};
            Lines lines;
            for (unsigned which = 0; which < kinds::interval_timer_count; ++which) {
                const kinds::IntervalTimer& timer = record.timers[which];
                if (timer.interval || timer.remaining)
                    lines.push_back({format("%s interval timer", names[which]),
                                     timer_state(timer.remaining, timer.interval, 1000000)});
            }
            return lines;
        });
}

} // namespace rfork::tool
