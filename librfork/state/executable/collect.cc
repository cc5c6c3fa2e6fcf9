#include "format/records/executable.h"
#include "process/collectors.h"

namespace rfork::kinds {

Result<void> collect_executable(const capture::Source& source, capture::Snapshot& snapshot) {
    ExecutableRecord record{};
    record.path = snapshot.strings.add(source.beginnings().executable);
    snapshot.records.add(image::Kind::executable, record);
    return {};
}

} // namespace rfork::kinds
