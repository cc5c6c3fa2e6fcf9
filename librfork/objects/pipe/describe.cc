#include "describe/describe.h"
#include "base/progress.h"
#include "format/records/pipe.h"

#include <fcntl.h>

namespace rfork::tool {

Lines describe_pipe(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::PipeRecord>(whole, [&](const kinds::PipeRecord& record) -> Lines {
        Room room(whole, sizeof record);
        if (!room.take(record.slots, sizeof(kinds::DescriptorSlot)) ||
            !room.take(record.ends, sizeof(kinds::PipeEnd)))
            return {{"pipe", malformed}};
        static constexpr const char* access[] = {"read ", "write ", "both ways ", "no access "};
        std::string ends;
        std::uint32_t used = 0;
        for (unsigned i = 0; i < record.ends; ++i) {
            const kinds::PipeEnd& end = record.end()[i];
            if (end.slots > record.slots - used)
                return {{"pipe", malformed}};
            ends += (i ? "; " : "") + std::string(access[end.flags & O_ACCMODE]) +
                    numbers(record.slot() + used, end.slots) + status_flags(end.flags);
            used += end.slots;
        }
        return {
            {"pipe", format("%s; %s of %s in it", ends.c_str(), bytes_text(record.bytes).c_str(),
                            bytes_text(record.capacity).c_str())}};
    });
}

} // namespace rfork::tool
