#include "describe/describe.h"
#include "format/records/executable.h"

namespace rfork::tool {

Lines describe_executable(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::ExecutableRecord>(
        whole, [&](const kinds::ExecutableRecord& record) -> Lines {
            return {{"program file", string_at(program, record.path)}};
        });
}

} // namespace rfork::tool
