#include "describe/describe.h"
#include "format/records/timer_fd_setting.h"

#include <sys/timerfd.h>

namespace rfork::tool {

Lines describe_timer_fd_setting(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::TimerFdSettingRecord>(
        whole, [&](const kinds::TimerFdSettingRecord& record) -> Lines {
            constexpr double second = 1e9;
            std::string text = record.remaining
                                   ? format("expires in %.6f s", double(record.remaining) / second)
                                   : "not armed";
            if (record.interval)
                text += format(", then every %.6f s", double(record.interval) / second);
            if (record.unread)
                text += format(", %lu expirations not read", record.unread);
            if (record.flags & TFD_TIMER_ABSTIME)
                text += ", absolute";
            return {{"timer of " + descriptors(program, record.object), text}};
        });
}

} // namespace rfork::tool
