#include "format/records/personality.h"
#include "process/collectors.h"

namespace rfork::kinds {

Result<void> collect_personality(const capture::Source& source, capture::Snapshot& snapshot) {
    PersonalityRecord record{};
    record.persona = source.facts().persona;
    snapshot.records.add(image::Kind::personality, record);
    return {};
}

} // namespace rfork::kinds
