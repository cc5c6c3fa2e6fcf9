#include "describe/describe.h"
#include "format/records/timer_fd.h"

namespace rfork::tool {

Lines describe_timer_fd(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::TimerFdRecord>(
        whole, [&](const kinds::TimerFdRecord& record) -> Lines {
            return {{"timerfd " + descriptors(program, record.object.id),
                     clock_name(record.clock) + status_flags(record.object.flags)}};
        });
}

} // namespace rfork::tool
