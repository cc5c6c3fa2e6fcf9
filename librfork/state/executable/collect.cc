#include "format/kinds.h"
#include "format/records/executable.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_executable(const capture::Source& source, capture::ProcessSnapshot& process) {
    ExecutableRecord record{};
    record.path = process.all.strings.add(source.beginnings().executable);
    process.records.add(image::Kind::executable, record);
    return {};
}

} // namespace rfork::kinds
