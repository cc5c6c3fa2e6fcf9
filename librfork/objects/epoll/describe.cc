#include "describe/describe.h"
#include "format/records/epoll.h"

namespace rfork::tool {

Lines describe_epoll(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::EpollRecord>(whole, [&](const kinds::EpollRecord& record) -> Lines {
        Room room(whole, sizeof record);
        if (!room.take(record.entries, sizeof(kinds::EpollEntry)))
            return {{"epoll", malformed}};
        std::string watched;
        for (unsigned i = 0; i < record.entries; ++i)
            append_word(watched,
                        format("%d(%#x)", record.entry()[i].number, record.entry()[i].events));
        return {{"epoll " + descriptors(program, record.object.id),
                 "watches " + or_none(watched) + status_flags(record.object.flags)}};
    });
}

} // namespace rfork::tool
