#include "kinds/collectors.h"
#include "kinds/process/record.h"

#include <ctime>
#include <sys/syscall.h>

namespace rfork::kinds {
namespace {

std::int64_t now(clockid_t clock) {
    constexpr std::int64_t second = 1'000'000'000;
    timespec time{};
    arch::syscall(SYS_clock_gettime, clock, &time);
    return time.tv_sec * second + time.tv_nsec;
}

bool has_ended_main(const capture::Source& source) {
    for (const capture::Thread& thread : source.threads())
        if (thread.record.flags & thread_leads)
            return false;
    return true;
}

} // namespace

// A copy that rfork() makes of one thread is a new process, as a child of fork(2) is. Several
// threads know each other by their tids, and a checkpoint is the same process once more.
Result<void> collect_process(const capture::Source& source, capture::Snapshot& snapshot) {
    ProcessRecord record{};
    record.pid = source.pid();
    record.threads = std::uint32_t(source.threads().size() + has_ended_main(source));
    record.keeps_ids = !snapshot.travels || source.threads().size() > 1;
    record.monotonic = now(CLOCK_MONOTONIC);
    record.boottime = now(CLOCK_BOOTTIME);
    record.realtime = now(CLOCK_REALTIME);
    snapshot.records.add(image::Kind::process, record);
    return {};
}

} // namespace rfork::kinds
