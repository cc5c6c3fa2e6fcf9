#include "describe/describe.h"
#include "base/progress.h"
#include "format/records/shared_memory.h"

namespace rfork::tool {

Lines describe_shared_memory(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::SharedMemoryRecord>(whole, [&](const auto& record) -> Lines {
        const bool is_memfd = record.type == kinds::SharedMemoryType::memfd;
        return {{format("memory %u", record.object.id),
                 format("%s, shared%s%s", bytes_text(record.size).c_str(),
                        is_memfd ? ", of memfd_create(2): " : "",
                        is_memfd ? string_at(program, record.object.name).c_str() : "")}};
    });
}

} // namespace rfork::tool
