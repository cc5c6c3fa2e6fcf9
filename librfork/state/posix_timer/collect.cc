// A clock of CPU time is a negative number that holds a pid or tid, 0 for "the caller's", a bit
// that tells which of the two it is, and what is counted: clockid = ~id << 3 | thread << 2 | what.
// CLOCK_PROCESS_CPUTIME_ID and CLOCK_THREAD_CPUTIME_ID become such numbers, with 0, when a timer is
// made, and the kernel does not tell which thread made it.
#include "format/kinds.h"
#include "format/records/posix_timer.h"
#include "process/source.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace rfork::kinds {
namespace {

using capture::PosixTimer;
using capture::Source;

constexpr std::int32_t thread_clock = 4, cpu_clock_kind = 7;

// What Linux 6.1 says of a timer of CPU time as long as its signal is pending, whenever it is due.
constexpr std::uint64_t just_due = 1;

bool is_cpu_clock(std::int32_t clock) {
    return clock < 0;
}
std::int32_t owner_of(std::int32_t cpu_clock) {
    return ~(cpu_clock >> 3);
}
std::int32_t of_caller(std::int32_t cpu_clock) {
    return std::int32_t(~std::uint32_t(0) << 3) | (cpu_clock & cpu_clock_kind);
}

Error cannot_carry(const PosixTimer& timer, const std::string& what) {
    return {ENOTSUP, "POSIX timer " + std::to_string(timer.id) + " runs on " + what +
                         ", which an image cannot carry yet: delete it before the call"};
}

bool has_thread(const Source& source, std::int32_t tid) {
    const auto& threads = source.threads();
    return std::any_of(threads.begin(), threads.end(),
                       [tid](const capture::Thread& t) { return t.record.tid == tid; });
}

// /proc may belong to another pid namespace than the program: its own name for a thread comes last.
// 0 if the thread has ended.
std::int32_t own_tid(const Source& source, std::int32_t tid_in_proc) {
    const std::string name = "task/" + std::to_string(tid_in_proc) + "/status";
    const Result<std::string> status = source.read(name.c_str());
    if (!status)
        return 0;
    const std::int32_t tid = own_id_in(*status);
    return has_thread(source, tid) ? tid : 0;
}

// The signals of a thread that has ended reach nobody; but the timer can still be read.
void set_target(const Source& source, const PosixTimer& timer, PosixTimerRecord& record) {
    record.notify = timer.notify;
    if (!(timer.notify & SIGEV_THREAD_ID))
        return;
    record.thread = own_tid(source, timer.target);
    if (!record.thread)
        record.notify = SIGEV_NONE;
}

// `pid`: the process's, as it calls itself.
Result<void> set_clock(const Source& source, std::int32_t pid, const PosixTimer& timer,
                       PosixTimerRecord& record) {
    record.clock = timer.clock;
    if (!is_cpu_clock(timer.clock))
        return {};
    record.clock = of_caller(timer.clock);
    const std::int32_t owner = owner_of(timer.clock);
    if (!(timer.clock & thread_clock)) {
        if (owner != 0 && owner != pid)
            return cannot_carry(timer, "the CPU time of process " + std::to_string(owner));
        return {};
    }
    if (owner != 0 ? !has_thread(source, owner) : source.threads().size() > 1)
        return cannot_carry(timer, owner != 0
                                       ? "the CPU time of thread " + std::to_string(owner) +
                                             ", which has ended"
                                       : std::string("the CPU time of one of several threads "
                                                     "(CLOCK_THREAD_CPUTIME_ID), of which the "
                                                     "kernel does not tell"));
    record.runs_on = owner != 0 ? owner : source.threads().front().record.tid;
    return {};
}

bool expiry_is_pending(const Source& source, const PosixTimer& timer) {
    const auto& signals = source.pending_signals();
    return std::any_of(signals.begin(), signals.end(), [&](const capture::PendingSignal& signal) {
        return capture::waits_for(timer, signal);
    });
}

} // namespace

Result<void> collect_posix_timer(const Source& source, capture::ProcessSnapshot& process) {
    for (const PosixTimer& timer : source.posix_timers()) {
        PosixTimerRecord record{};
        record.id = timer.id;
        record.signal = timer.signal;
        record.value = timer.value;
        record.interval = timer.interval;
        record.remaining = timer.remaining;
        set_target(source, timer, record);
        if (Result<void> r = set_clock(source, process.identity.pid, timer, record); !r)
            return r;
        record.expiry_pending = expiry_is_pending(source, timer);
        if (record.expiry_pending && is_cpu_clock(timer.clock) && timer.remaining <= just_due)
            record.remaining = timer.interval;
        process.records.add(image::Kind::posix_timer, record);
    }
    return {};
}

} // namespace rfork::kinds
