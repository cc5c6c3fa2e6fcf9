#include "format/kinds.h"
#include "format/records/timer_fd.h"

#include "objects/descriptors.h"
#include "process/source.h"

namespace rfork::kinds {

using capture::ProcessSnapshot;
using capture::Source;

bool is_timer_fd(const Source&, const OpenDescriptions&, const OpenDescription& d) {
    return is_anonymous(d, "timerfd");
}

Result<void> collect_timer_fd(const Source&, ProcessSnapshot& process) {
    for (const OpenDescription& d : process.open_descriptions) {
        if (d.kind != image::Kind::timer_fd)
            continue;
        TimerFdRecord record{};
        record.clock = std::int32_t(number_in(d.info, "clockid"));
        record.object = add_object(process, d);
        process.all.objects.add(image::Kind::timer_fd, record);
    }
    return {};
}

} // namespace rfork::kinds
