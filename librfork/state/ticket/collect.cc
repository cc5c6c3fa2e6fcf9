#include "format/records/ticket.h"
#include "process/collectors.h"

namespace rfork::kinds {

Result<void> collect_ticket(const capture::Source&, capture::Snapshot& snapshot) {
    if (!snapshot.travels)
        return {};
    TicketRecord record{};
    record.directory = snapshot.strings.add(snapshot.ticket.directory);
    record.name = snapshot.strings.add(snapshot.ticket.name);
    snapshot.records.add(image::Kind::ticket, record);
    return {};
}

} // namespace rfork::kinds
