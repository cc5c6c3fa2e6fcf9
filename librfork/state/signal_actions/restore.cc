// A signal that whoever started the image has told to be ignored, nohup(1) SIGHUP, a shell SIGINT
// and SIGQUIT for a job in the background, stays ignored where the program does by default: by its
// own start it would have got it so, and left it. Of other signals that says nothing; SIGPIPE and
// SIGCHLD are ignored by careless parents, and programs set them to default on purpose. rexecd's
// surroundings are not the program's.
#include "format/records/signal_actions.h"
#include "stub/stub.h"

#include <asm/signal.h>
#include <asm/unistd.h>

namespace rfork::stub {
namespace {

constexpr std::uint64_t by_default = 0, ignored = 1; // SIG_DFL, SIG_IGN

constexpr std::uint64_t only(unsigned number) {
    return std::uint64_t(1) << (number - 1);
}

} // namespace

void note_ignored_signals(Stub& stub) {
    if (stub.status_fd >= 0)
        return;
    static constexpr unsigned numbers[] = {SIGHUP, SIGINT, SIGQUIT};
    for (unsigned number : numbers) {
        kinds::SignalAction action{};
        arch::syscall(__NR_rt_sigaction, number, nullptr, &action, sizeof action.mask);
        if (action.handler == ignored)
            stub.ignored_signals |= only(number);
    }
}

void restore_signal_actions(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::SignalActionsRecord>(header);
    for (unsigned number = 1; number <= kinds::signal_count; ++number) {
        if (number == SIGKILL || number == SIGSTOP)
            continue;
        kinds::SignalAction action = record.actions[number - 1];
        if (action.handler == by_default && (stub.ignored_signals & only(number)))
            action.handler = ignored;
        const long r =
            arch::syscall(__NR_rt_sigaction, number, &action, nullptr, sizeof action.mask);
        if (r < 0)
            fail(stub, int(-r), "cannot restore a signal's action");
    }
}

} // namespace rfork::stub
