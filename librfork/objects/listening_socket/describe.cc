#include "describe/describe.h"
#include "format/records/listening_socket.h"

namespace rfork::tool {

Lines describe_listening_socket(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::ListeningSocketRecord>(
        whole, [&](const kinds::ListeningSocketRecord& record) -> Lines {
            Room room(whole, sizeof record);
            if (!room.take(record.options, sizeof(kinds::SocketOption)))
                return {{"listening socket", malformed}};
            return {{"listening socket " + descriptors(program, record.object.id),
                     format("%s, queue of %d, %u options set%s",
                            string_at(program, record.object.name).c_str(), record.backlog,
                            record.options, status_flags(record.object.flags).c_str())}};
        });
}

} // namespace rfork::tool
