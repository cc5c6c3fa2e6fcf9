#include "describe/describe.h"
#include "format/records/umask.h"

namespace rfork::tool {

Lines describe_umask(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::UmaskRecord>(whole, [](const kinds::UmaskRecord& record) -> Lines {
        return {{"umask", format("%04o", record.mask)}};
    });
}

} // namespace rfork::tool
