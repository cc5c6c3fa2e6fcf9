#include "describe/describe.h"
#include "format/records/personality.h"

namespace rfork::tool {

Lines describe_personality(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::PersonalityRecord>(
        whole, [](const kinds::PersonalityRecord& record) -> Lines {
            return {{"personality", format("%#lx", record.persona)}};
        });
}

} // namespace rfork::tool
