#include "describe/describe.h"
#include "format/records/membarrier.h"

namespace rfork::tool {

Lines describe_membarrier(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::MembarrierRecord>(
        whole, [](const kinds::MembarrierRecord& record) -> Lines {
            return {{"membarrier", format("registrations %#lx", record.registrations)}};
        });
}

} // namespace rfork::tool
