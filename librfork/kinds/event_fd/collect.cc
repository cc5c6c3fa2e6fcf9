#include "kinds/event_fd/record.h"

#include "kinds/collectors.h"
#include "kinds/descriptors.h"

namespace rfork::kinds {
namespace {

using capture::Snapshot;
using capture::Source;

// A counter is known by fdinfo alone: to read it would change it under the caller's feet.
Result<void> add(Snapshot& snapshot, const OpenDescription& d) {
    constexpr std::uint64_t overflown = ~std::uint64_t(0);
    EventFdRecord record{};
    record.count = number_in(d.info, "eventfd-count", 16);
    if (record.count == overflown)
        return cannot_carry(d, "has a counter that has overflown, which an image cannot carry");
    if (capture::field(d.info, "eventfd-semaphore").empty())
        return cannot_carry(d, "is an eventfd, of which this kernel does not tell whether it is a "
                               "semaphore, as Linux 6.5 and later do");
    record.semaphore = number_in(d.info, "eventfd-semaphore") != 0;
    record.flags = d.flags;
    record.name = name_of(d, snapshot);
    record.slots = std::uint32_t(d.slots.size());
    snapshot.records.add(image::Kind::event_fd, record, d.slots.data(),
                         d.slots.size() * sizeof d.slots[0]);
    return {};
}

} // namespace

bool is_event_fd(const Source&, const OpenDescriptions&, const OpenDescription& d) {
    return is_anonymous(d, "eventfd");
}

Result<void> collect_event_fd(const Source&, Snapshot& snapshot) {
    for (const OpenDescription& d : snapshot.open_descriptions)
        if (d.kind == image::Kind::event_fd)
            if (Result<void> r = add(snapshot, d); !r)
                return r;
    return {};
}

} // namespace rfork::kinds
