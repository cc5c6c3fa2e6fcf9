#include "format/kinds.h"
#include "format/records/pending_signal.h"
#include "process/source.h"

#include <algorithm>
#include <cstring>

namespace rfork::kinds {
namespace {

using capture::PendingSignal;
using capture::PosixTimer;

// Of a timer that the program has set again or deleted since.
bool is_outdated(const std::vector<PosixTimer>& timers, const PendingSignal& signal) {
    SignalInfo info;
    std::memcpy(&info, signal.info.data(), sizeof info);
    return info.code == code_timer &&
           std::none_of(timers.begin(), timers.end(),
                        [&](const PosixTimer& timer) { return capture::waits_for(timer, signal); });
}

} // namespace

Result<void> collect_pending_signal(const capture::Source& source,
                                    capture::ProcessSnapshot& process) {
    for (const PendingSignal& signal : source.pending_signals()) {
        if (is_outdated(source.posix_timers(), signal))
            continue;
        PendingSignalRecord record{};
        record.tid = signal.tid;
        std::memcpy(record.info, signal.info.data(), sizeof record.info);
        process.records.add(image::Kind::pending_signal, record);
    }
    return {};
}

} // namespace rfork::kinds
