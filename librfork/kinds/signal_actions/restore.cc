#include "kinds/signal_actions/record.h"
#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

void restore_signal_actions(Stub& stub, const image::RecordHeader& header) {
    constexpr unsigned kill_signal = 9, stop_signal = 19;
    const auto& record = as<kinds::SignalActionsRecord>(header);
    for (unsigned number = 1; number <= kinds::signal_count; ++number) {
        if (number == kill_signal || number == stop_signal)
            continue;
        const long r = arch::syscall(__NR_rt_sigaction, number, &record.actions[number - 1],
                                     nullptr, sizeof record.actions[0].mask);
        if (r < 0)
            fail(stub, int(-r), "cannot restore a signal's action");
    }
}

} // namespace rfork::stub
