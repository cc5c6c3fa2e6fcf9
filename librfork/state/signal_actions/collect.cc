#include "format/kinds.h"
#include "format/records/signal_actions.h"
#include "process/source.h"

namespace rfork::kinds {

Result<void> collect_signal_actions(const capture::Source& source,
                                    capture::ProcessSnapshot& process) {
    SignalActionsRecord record{};
    const auto& actions = source.facts().signal_actions;
    for (unsigned i = 0; i < signal_count; ++i)
        record.actions[i] = actions[i];
    process.records.add(image::Kind::signal_actions, record);
    return {};
}

} // namespace rfork::kinds
