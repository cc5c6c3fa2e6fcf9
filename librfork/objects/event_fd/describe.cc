#include "describe/describe.h"
#include "format/records/event_fd.h"

namespace rfork::tool {

Lines describe_event_fd(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::EventFdRecord>(
        whole, [&](const kinds::EventFdRecord& record) -> Lines {
            return {{"eventfd " + descriptors(program, record.object.id),
                     format("counter %lu%s%s", record.count, record.semaphore ? ", semaphore" : "",
                            status_flags(record.object.flags).c_str())}};
        });
}

} // namespace rfork::tool
