#include "process/pending_signals.h"

#include "arch/arch.h"
#include "base/unique_fd.h"
#include "format/records/pending_signal.h"
#include "process/source.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

constexpr std::uint64_t bit_of(int signal) {
    return std::uint64_t(1) << (signal - 1);
}

// For the caller to stop, or be killed by, whatever the copy does.
bool is_for_the_original_only(int signal) {
    return signal == SIGKILL || signal == SIGSTOP;
}

// A signal that came when the user's queues were full (RLIMIT_SIGPENDING) has no entry, only its
// bit. The kernel hands it out like this.
PendingSignal without_entry(int number, std::int32_t tid) {
    kinds::SignalInfo info{};
    info.number = number;
    info.code = kinds::code_user;
    PendingSignal signal{tid, {}};
    std::memcpy(signal.info.data(), &info, sizeof info);
    return signal;
}

} // namespace

int number_of(const PendingSignal& signal) {
    int number;
    std::memcpy(&number, signal.info.data(), sizeof number);
    return number;
}

void add_without_entry(std::uint64_t pending_set, std::int32_t tid_in_record,
                       std::vector<PendingSignal>& to) {
    for (int number = 1; number <= 64; ++number)
        if ((pending_set & bit_of(number)) && !is_for_the_original_only(number))
            to.push_back(without_entry(number, tid_in_record));
}

Result<void> read_pending_signals(pid_t stopped, Queue queue, std::uint64_t pending_set,
                                  std::int32_t tid_in_record, std::vector<PendingSignal>& to) {
    constexpr int chunk = 32;
    using Entry = std::array<std::uint8_t, 128>;
    Entry entries[chunk];
    ptrace_peeksiginfo_args from{};
    from.flags = queue == Queue::process ? PTRACE_PEEKSIGINFO_SHARED : 0;
    from.nr = chunk;
    long got;
    while ((got = arch::syscall(SYS_ptrace, PTRACE_PEEKSIGINFO, stopped, &from, entries)) > 0) {
        for (long i = 0; i < got; ++i) {
            const PendingSignal signal{tid_in_record, entries[i]};
            pending_set &= ~bit_of(number_of(signal));
            if (!is_for_the_original_only(number_of(signal)))
                to.push_back(signal);
        }
        from.off += std::uint64_t(got);
    }
    if (got < 0)
        return system_error(int(-got),
                            "cannot read the pending signals of thread " + std::to_string(stopped));
    add_without_entry(pending_set, tid_in_record, to);
    return {};
}

} // namespace rfork::capture
