#include "format/kinds.h"
#include "format/records/process.h"
#include "process/source.h"

#include <ctime>

namespace rfork::kinds {
namespace {

bool has_ended_main(const capture::Source& source) {
    for (const capture::Thread& thread : source.threads())
        if (thread.record.flags & thread_leads)
            return false;
    return true;
}

} // namespace

// A copy that rfork() makes of one thread is a new process, as a child of fork(2) is. Several
// threads know each other by their tids, and a checkpoint is the same process once more.
Result<void> collect_process(const capture::Source& source, capture::ProcessSnapshot& process) {
    ProcessRecord record{};
    record.pid = process.identity.pid;
    record.threads = std::uint32_t(source.threads().size() + has_ended_main(source));
    record.keeps_ids = !process.all.travels || source.threads().size() > 1;
    record.monotonic = source.clock(CLOCK_MONOTONIC);
    record.boottime = source.clock(CLOCK_BOOTTIME);
    record.realtime = source.clock(CLOCK_REALTIME);
    process.records.add(image::Kind::process, record);
    return {};
}

} // namespace rfork::kinds
