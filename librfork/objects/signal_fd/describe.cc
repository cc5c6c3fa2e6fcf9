#include "describe/describe.h"
#include "format/records/signal_fd.h"

namespace rfork::tool {

Lines describe_signal_fd(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::SignalFdRecord>(
        whole, [&](const kinds::SignalFdRecord& record) -> Lines {
            return {{"signalfd " + descriptors(program, record.object.id),
                     signal_set(record.mask) + status_flags(record.object.flags)}};
        });
}

} // namespace rfork::tool
