#include "format/kinds.h"
#include "format/records/personality.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_personality(const capture::Source& source, capture::ProcessSnapshot& process) {
    PersonalityRecord record{};
    record.persona = source.facts().persona;
    process.records.add(image::Kind::personality, record);
    return {};
}

} // namespace rfork::kinds
