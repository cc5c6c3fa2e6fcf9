// Arms a timerfd. What is absolute stays so where the clock still shows the same; else what counts
// is the time that remained. Expirations that nobody has read come back in two ways: an absolute
// periodic timer is set to the first of them, and the kernel counts; else the kernel is told their
// number.
#include "format/records/timer_fd_setting.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>

namespace rfork::stub {
namespace {

using kinds::TimerFdSettingRecord;

constexpr std::uint64_t second = 1000000000;

__kernel_timespec timespec_of(std::uint64_t nanoseconds) {
    return {std::int64_t(nanoseconds / second), std::int64_t(nanoseconds % second)};
}

std::int32_t counting_clock(std::int32_t clock) {
    return clock == CLOCK_REALTIME_ALARM   ? CLOCK_REALTIME
           : clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME
                                           : clock;
}

std::uint64_t now(std::int32_t clock) {
    __kernel_timespec ts{};
    arch::syscall(__NR_clock_gettime, counting_clock(clock), &ts);
    return std::uint64_t(ts.tv_sec) * second + std::uint64_t(ts.tv_nsec);
}

int fd_of(const Stub& stub, const TimerFdSettingRecord& record) {
    const Descriptors descriptors = descriptors_of(stub, record.object);
    if (descriptors.empty())
        fail(stub, EBADMSG, "the image sets a timer that it does not hold,",
             string_at(stub, record.name));
    return descriptors.front().fd;
}

void arm(const Stub& stub, const TimerFdSettingRecord& record, std::uint64_t value) {
    const __kernel_itimerspec setting{timespec_of(record.interval), timespec_of(value)};
    const long r =
        arch::syscall(__NR_timerfd_settime, fd_of(stub, record), record.flags, &setting, nullptr);
    if (r < 0)
        fail(stub, int(-r), "cannot arm again a timer of the program,",
             string_at(stub, record.name));
}

void set_unread(const Stub& stub, const TimerFdSettingRecord& record) {
    const long r =
        arch::syscall(__NR_ioctl, fd_of(stub, record), TFD_IOC_SET_TICKS, &record.unread);
    if (r < 0)
        fail(stub, int(-r),
             "cannot bring back the expirations of a timer that the program has not read,",
             string_at(stub, record.name));
}

} // namespace

void restore_timer_fd_setting(Stub& stub, const image::RecordHeader& header) {
    // As long as the kernel needs for two system calls, so that no expiration comes in between.
    constexpr std::uint64_t moment = 100000;
    const auto& record = as<TimerFdSettingRecord>(header);
    const bool absolute = record.flags & TFD_TIMER_ABSTIME;
    const bool same_clock = stub.clocks_continue || counting_clock(record.clock) == CLOCK_REALTIME;

    if (!record.remaining && !record.interval && !record.unread)
        return;
    if (absolute && same_clock && record.remaining && record.interval &&
        record.unread < record.expires / record.interval) {
        arm(stub, record, record.expires - record.unread * record.interval);
        return;
    }
    std::uint64_t value = record.remaining;
    if (value && record.unread && value < moment)
        value = moment;
    if (value && absolute)
        value = same_clock ? record.expires : now(record.clock) + value;
    arm(stub, record, value);
    if (record.unread)
        set_unread(stub, record);
}

} // namespace rfork::stub
