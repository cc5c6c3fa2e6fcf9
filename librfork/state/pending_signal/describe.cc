#include "describe/describe.h"
#include "format/records/pending_signal.h"

#include <cstring>

namespace rfork::tool {

Lines describe_pending_signal(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::PendingSignalRecord>(
        whole, [](const kinds::PendingSignalRecord& record) -> Lines {
            kinds::SignalInfo info;
            std::memcpy(&info, record.info, sizeof info);
            return {
                {"pending for " + (record.tid ? format("thread %d", record.tid) : "the process"),
                 format("%s, code %d", signal_name(unsigned(info.number)).c_str(), info.code)}};
        });
}

} // namespace rfork::tool
