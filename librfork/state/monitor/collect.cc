#include "format/kinds.h"
#include "format/records/monitor.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_monitor(const capture::Source&, capture::ProcessSnapshot& process) {
    if (!process.all.monitor.address)
        return {};
    MonitorRecord record{};
    record.address = process.all.monitor.address;
    record.port = process.all.monitor.port;
    record.name = process.all.strings.add(process.identity.name);
    record.pid = std::uint32_t(process.identity.pid);
    record.dump_started = process.all.monitor.dump_started;
    process.records.add(image::Kind::monitor, record);
    return {};
}

} // namespace rfork::kinds
