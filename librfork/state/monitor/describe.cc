#include "describe/describe.h"
#include "format/records/monitor.h"

#include <arpa/inet.h>

namespace rfork::tool {

Lines describe_monitor(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::MonitorRecord>(
        whole, [&](const kinds::MonitorRecord& record) -> Lines {
            char address[INET_ADDRSTRLEN] = "?";
            ::inet_ntop(AF_INET, &record.address, address, sizeof address);
            return {{"monitor", format("%s:%u, told as \"%s\"", address, ntohs(record.port),
                                       string_at(program, record.name).c_str())}};
        });
}

} // namespace rfork::tool
