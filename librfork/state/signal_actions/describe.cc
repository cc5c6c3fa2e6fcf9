#include "describe/describe.h"
#include "format/records/signal_actions.h"

#include <csignal>

namespace rfork::tool {

Lines describe_signal_actions(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::SignalActionsRecord>(
        whole, [](const kinds::SignalActionsRecord& record) -> Lines {
            std::string handled, ignored;
            for (unsigned i = 0; i < kinds::signal_count; ++i) {
                std::uint64_t handler = record.actions[i].handler;
                if (handler == reinterpret_cast<std::uintptr_t>(SIG_IGN))
                    append_word(ignored, signal_name(i + 1));
                else if (handler != reinterpret_cast<std::uintptr_t>(SIG_DFL))
                    append_word(handled, signal_name(i + 1));
            }
            return {{"signals", "handled: " + or_none(handled) + "; ignored: " + or_none(ignored)}};
        });
}

} // namespace rfork::tool
