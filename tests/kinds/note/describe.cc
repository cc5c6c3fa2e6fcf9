#include "describe/describe.h"

#include "record.h"

namespace rfork::tool {

Lines describe_note(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::NoteRecord>(whole, [&](const kinds::NoteRecord& record) -> Lines {
        Room room(whole, sizeof record);
        if (!room.take(record.slots, sizeof(kinds::DescriptorSlot)) || !room.take(record.size, 1))
            return {{"note", malformed}};
        return {{"note " + numbers(record.slot(), record.slots),
                 std::string(record.text(), record.size)}};
    });
}

} // namespace rfork::tool
