#include "format/kinds.h"
#include "format/records/signal_fd.h"

#include "objects/descriptors.h"
#include "process/source.h"

namespace rfork::kinds {

using capture::ProcessSnapshot;
using capture::Source;

bool is_signal_fd(const Source&, const OpenDescriptions&, const OpenDescription& d) {
    return is_anonymous(d, "signalfd");
}

Result<void> collect_signal_fd(const Source&, ProcessSnapshot& process) {
    for (const OpenDescription& d : process.open_descriptions) {
        if (d.kind != image::Kind::signal_fd)
            continue;
        SignalFdRecord record{};
        record.mask = number_in(d.info, "sigmask", 16);
        record.object = add_object(process, d);
        process.all.objects.add(image::Kind::signal_fd, record);
    }
    return {};
}

} // namespace rfork::kinds
