#include "describe/describe.h"
#include "base/progress.h"
#include "format/records/pipe.h"

#include <fcntl.h>

namespace rfork::tool {

Lines describe_pipe(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::PipeRecord>(whole, [&](const kinds::PipeRecord& record) -> Lines {
        Room room(whole, sizeof record);
        if (!room.take(record.ends, sizeof(kinds::PipeEnd)))
            return {{"pipe", malformed}};
        static constexpr const char* access[] = {"read ", "write ", "both ways ", "no access "};
        std::string ends;
        constexpr unsigned enough = 64;
        for (unsigned i = 0; i < record.ends && i < enough; ++i) {
            const kinds::PipeEnd& end = record.end()[i];
            ends += (i ? "; " : "") + std::string(access[end.flags & O_ACCMODE]) +
                    descriptors(program, end.object) + status_flags(end.flags);
        }
        return {
            {"pipe", format("%s; %s of %s in it", ends.c_str(), bytes_text(record.bytes).c_str(),
                            bytes_text(record.capacity).c_str())}};
    });
}

} // namespace rfork::tool
