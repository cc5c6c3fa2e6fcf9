#include "format/records/monitor.h"
#include "process/collectors.h"

namespace rfork::kinds {

Result<void> collect_monitor(const capture::Source& source, capture::Snapshot& snapshot) {
    if (!snapshot.monitor.address)
        return {};
    MonitorRecord record{};
    record.address = snapshot.monitor.address;
    record.port = snapshot.monitor.port;
    record.name = snapshot.strings.add(snapshot.identity.name);
    record.pid = std::uint32_t(source.pid());
    record.dump_started = snapshot.monitor.dump_started;
    snapshot.records.add(image::Kind::monitor, record);
    return {};
}

} // namespace rfork::kinds
