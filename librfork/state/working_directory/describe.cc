#include "describe/describe.h"
#include "format/records/working_directory.h"

namespace rfork::tool {

Lines describe_working_directory(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::WorkingDirectoryRecord>(
        whole, [&](const kinds::WorkingDirectoryRecord& record) -> Lines {
            return {{"directory", string_at(program, record.path)}};
        });
}

} // namespace rfork::tool
