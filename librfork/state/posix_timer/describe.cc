#include "describe/describe.h"
#include "format/records/posix_timer.h"

#include <csignal>

namespace rfork::tool {
namespace {

std::string notification(const kinds::PosixTimerRecord& record) {
    if (record.notify == SIGEV_NONE)
        return "no signal";
    const std::string signal = signal_name(unsigned(record.signal));
    return record.thread ? signal + format(" for thread %d", record.thread) : signal;
}

} // namespace

Lines describe_posix_timer(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::PosixTimerRecord>(
        whole, [](const kinds::PosixTimerRecord& record) -> Lines {
            return {{format("POSIX timer %d", record.id),
                     "clock " + clock_name(record.clock) + ", " + notification(record) + ", " +
                         timer_state(record.remaining, record.interval, 1000000000) +
                         (record.expiry_pending ? ", signal pending" : "")}};
        });
}

} // namespace rfork::tool
