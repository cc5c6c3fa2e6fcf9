#include "describe/describe.h"
#include "base/printable.h"

#include "record.h"

namespace rfork::tool {

Lines describe_note(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::NoteRecord>(whole, [&](const kinds::NoteRecord& record) -> Lines {
        Room room(whole, sizeof record);
        if (!room.take(record.size, 1))
            return {{"note", malformed}};
        return {{"note " + descriptors(program, record.object.id),
                 printable({record.text(), record.size})}};
    });
}

} // namespace rfork::tool
