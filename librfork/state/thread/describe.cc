#include "describe/describe.h"
#include "format/records/thread.h"

namespace rfork::tool {

Lines describe_thread(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::ThreadRecord>(whole, [](const kinds::ThreadRecord& record) -> Lines {
        return {{format("thread %d", record.tid),
                 format("'%s' at %#lx, stack pointer %#lx, blocked signals: %s",
                        fixed_text(record.name, sizeof record.name).c_str(), record.registers.rip,
                        record.registers.rsp, signal_set(record.signal_mask).c_str())}};
    });
}

} // namespace rfork::tool
