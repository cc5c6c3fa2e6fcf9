// Where the ticket of a travelling image lies, unless whoever starts it says otherwise
// (RFORK_TICKET, format/ticket.h). Absent in a checkpoint, which runs as often as one likes.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct TicketRecord {
    image::RecordHeader header;
    std::uint32_t directory; // string: absolute path of the user's directory in the spool
    std::uint32_t name;      // string: of the ticket in it
};
static_assert(sizeof(TicketRecord) == 16);

} // namespace rfork::kinds
