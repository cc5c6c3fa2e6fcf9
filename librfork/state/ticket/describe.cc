#include "describe/describe.h"
#include "format/records/ticket.h"

namespace rfork::tool {

Lines describe_ticket(const FrozenProgram& program, const image::Record& whole) {
    return describe_as<kinds::TicketRecord>(whole, [&](const kinds::TicketRecord& record) -> Lines {
        return {{"ticket",
                 string_at(program, record.name) + " in " + string_at(program, record.directory)}};
    });
}

} // namespace rfork::tool
