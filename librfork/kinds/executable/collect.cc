#include "capture/beginnings.h"
#include "kinds/collectors.h"
#include "kinds/executable/record.h"

namespace rfork::kinds {

Result<void> collect_executable(const capture::Source&, capture::Snapshot& snapshot) {
    ExecutableRecord record{};
    record.path = snapshot.strings.add(capture::beginnings().executable);
    snapshot.records.add(image::Kind::executable, record);
    return {};
}

} // namespace rfork::kinds
