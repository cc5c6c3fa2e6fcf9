#include "describe/describe.h"
#include "format/records/unlinked_file.h"

#include <fcntl.h>

namespace rfork::tool {

Lines describe_unlinked_file(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<
        kinds::UnlinkedFileRecord>(whole, [&](const kinds::UnlinkedFileRecord& record) -> Lines {
        static constexpr const char* access[] = {"read", "write", "read and write", "no access"};
        const bool is_memfd = record.type == kinds::UnlinkedFileType::memfd;
        return {
            {(is_memfd ? "memfd " : "file ") + descriptors(program, record.object.id),
             format("%s at %lu of %lu (%s%s), %s", string_at(program, record.object.name).c_str(),
                    record.position, record.size, access[record.object.flags & O_ACCMODE],
                    status_flags(record.object.flags).c_str(),
                    is_memfd ? "in the image" : "deleted, and in the image")}};
    });
}

} // namespace rfork::tool
