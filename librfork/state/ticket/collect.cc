#include "format/kinds.h"
#include "format/records/ticket.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_ticket(const capture::Source&, capture::ProcessSnapshot& process) {
    if (!process.all.travels)
        return {};
    TicketRecord record{};
    record.directory = process.all.strings.add(process.all.ticket.directory);
    record.name = process.all.strings.add(process.all.ticket.name);
    process.records.add(image::Kind::ticket, record);
    return {};
}

} // namespace rfork::kinds
