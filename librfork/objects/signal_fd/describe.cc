#include "describe/describe.h"
#include "format/records/signal_fd.h"

namespace rfork::tool {

Lines describe_signal_fd(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::SignalFdRecord>(
        whole, [&](const kinds::SignalFdRecord& record) -> Lines {
            return {{"signalfd " + descriptors(record, whole),
                     signal_set(record.mask) + status_flags(record.flags)}};
        });
}

} // namespace rfork::tool
