// A timer is read from its fdinfo, and as late as possible. A periodic one that has expired unread
// stands still there: the kernel moves it on when somebody asks, and counts what it has missed, by
// read(2) or timerfd_gettime(2), of which the second takes nothing away from the caller.
#include "format/kinds.h"
#include "format/records/timer_fd_setting.h"

#include "objects/descriptors.h"
#include "process/source.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <sys/timerfd.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

constexpr std::uint64_t second = 1000000000;

struct Setting {
    std::uint64_t remaining = 0;
    std::uint64_t interval = 0;
    std::uint64_t unread = 0;
};

std::uint64_t time_in(const std::string& info, const char* name) {
    unsigned long long seconds = 0, nanoseconds = 0;
    std::sscanf(field(info, name).c_str(), "(%llu, %llu)", &seconds, &nanoseconds);
    return seconds * second + nanoseconds;
}

Setting parse(const std::string& info) {
    return {time_in(info, "it_value"), time_in(info, "it_interval"), number_in(info, "ticks")};
}

Result<Setting> read(const Source& source, const OpenDescription& d) {
    const Result<std::string> info = source.read(("fdinfo/" + std::to_string(d.number())).c_str());
    if (!info)
        return info.error();
    return parse(*info);
}

Result<Setting> read_moved_on(const Source& source, const OpenDescription& d) {
    Result<Setting> setting = read(source, d);
    if (!setting || setting->remaining || !setting->interval || !setting->unread)
        return setting;
    const Result<UniqueFd> fd = source.descriptor(d.number());
    if (!fd)
        return fd.error();
    itimerspec ignored;
    if (timerfd_gettime(fd->get(), &ignored) != 0)
        return system_error(errno, "cannot ask the timer " + label(d));
    return read(source, d);
}

// The clock by which an alarm clock's time is told.
int readable(std::int32_t clock) {
    return clock == CLOCK_REALTIME_ALARM   ? CLOCK_REALTIME
           : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
                                           : clock;
}

Result<void> add(const Source& source, ProcessSnapshot& process, const OpenDescription& d) {
    const Setting before = parse(d.info);
    const Result<Setting> setting = read_moved_on(source, d);
    if (!setting)
        return setting.error();
    TimerFdSettingRecord record{};
    record.object = d.object;
    record.clock = std::int32_t(number_in(d.info, "clockid"));
    record.flags = std::uint32_t(number_in(d.info, "settime flags", 8));
    record.name = name_of(d, process);
    record.remaining = setting->remaining;
    record.interval = setting->interval;
    record.unread = setting->unread;
    // It was armed a moment ago, and the kernel is about to let it expire.
    if (before.remaining && !record.remaining && !record.unread)
        record.remaining = 1;
    record.expires = record.remaining
                         ? std::uint64_t(source.clock(readable(record.clock))) + record.remaining
                         : 0;
    process.records.add(image::Kind::timer_fd_setting, record);
    return {};
}

} // namespace

Result<void> collect_timer_fd_setting(const Source& source, ProcessSnapshot& process) {
    for (const OpenDescription& d : process.open_descriptions)
        if (d.kind == image::Kind::timer_fd)
            if (Result<void> r = add(source, process, d); !r)
                return r;
    return {};
}

} // namespace rfork::kinds
