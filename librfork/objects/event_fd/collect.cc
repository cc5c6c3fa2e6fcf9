#include "format/kinds.h"
#include "format/records/event_fd.h"

#include "objects/descriptors.h"
#include "process/source.h"

#include <cerrno>
#include <unistd.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

// Kernels before 6.5 do not tell. A semaphore of at least two, read once, gives one; any other
// counter gives all. What was read is put back: the process stands still, and its threads look
// again when they go on; only another process that shares the counter could see it differ for a
// moment.
Result<bool> is_semaphore(const Source& source, const OpenDescription& d, std::uint64_t count) {
    const Result<UniqueFd> fd = source.descriptor(d.slots.front().fd);
    if (!fd)
        return fd.error();
    auto add = [&](std::uint64_t value) {
        return value == 0 || write(fd->get(), &value, sizeof value) == ssize_t(sizeof value);
    };
    auto take = [&](std::uint64_t& value) {
        return read(fd->get(), &value, sizeof value) == ssize_t(sizeof value);
    };
    const std::uint64_t lent = count < 2 ? 2 - count : 0;
    std::uint64_t got = 0;
    bool well = add(lent) && take(got);
    const bool semaphore = well && got == 1;
    const std::uint64_t now = count + lent - got;
    std::uint64_t back = 0;
    well = well && (now <= count ? add(count - now) : take(back));
    if (!well)
        return system_error(errno, "cannot find out whether " + label(d) + " is a semaphore");
    return semaphore;
}

Result<void> add(const Source& source, ProcessSnapshot& process, const OpenDescription& d) {
    constexpr std::uint64_t overflown = ~std::uint64_t(0);
    EventFdRecord record{};
    record.count = number_in(d.info, "eventfd-count", 16);
    if (record.count == overflown)
        return cannot_carry(d, "has a counter that has overflown, which an image cannot carry");
    if (field(d.info, "eventfd-semaphore").empty()) {
        const Result<bool> semaphore = is_semaphore(source, d, record.count);
        if (!semaphore)
            return semaphore.error();
        record.semaphore = *semaphore;
    } else {
        record.semaphore = number_in(d.info, "eventfd-semaphore") != 0;
    }
    record.object = add_object(process, d);
    process.all.objects.add(image::Kind::event_fd, record);
    return {};
}

} // namespace

bool is_event_fd(const Source&, const OpenDescriptions&, const OpenDescription& d) {
    return is_anonymous(d, "eventfd");
}

Result<void> collect_event_fd(const Source& source, ProcessSnapshot& process) {
    return collect_each(source, process, image::Kind::event_fd,
                        [&](const OpenDescription& d) { return add(source, process, d); });
}

} // namespace rfork::kinds
