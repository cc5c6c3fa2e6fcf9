#include "format/records/thread.h"
#include "process/source.h"

namespace rfork::kinds {

// Threads become records when the writer has planned where the stub goes: a register may need it.
Result<void> collect_thread(const capture::Source& source, capture::ProcessSnapshot& process) {
    process.threads = source.threads();
    return {};
}

} // namespace rfork::kinds
