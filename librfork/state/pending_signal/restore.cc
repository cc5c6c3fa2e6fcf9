// Each queue is filled by the thread that may: the one of the process by its first thread, one of a
// thread by itself, because the kernel lets a sender claim to be someone else, or the kernel, only
// towards itself. All signals are blocked in all threads, so none is delivered or dropped.
#include "format/kinds.h"
#include "format/records/pending_signal.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>

namespace rfork::stub {
namespace {

using kinds::PendingSignalRecord;
using kinds::SignalInfo;

constexpr int last_signal = 64;

const SignalInfo& info_of(const PendingSignalRecord& signal) {
    return reinterpret_cast<const SignalInfo&>(signal.info);
}

[[noreturn]] void no_room(const Stub& stub, int error) {
    fail(stub, error,
         "cannot queue the program's pending signals again (raise the limit on them, ulimit -i)");
}

// At the limit on queued signals, the kernel refuses some, and others it takes without their
// siginfo and does not say so.
bool is_taken_at_any_price(const SignalInfo& info) {
    return info.number < kinds::first_realtime ? info.code < 0 : info.code == kinds::code_user;
}

// Queues a signal that it would refuse, and takes it back.
void check_room(const Stub& stub) {
    std::uint64_t pending = 0;
    arch::syscall(__NR_rt_sigpending, &pending, sizeof pending);
    int number = last_signal;
    while (number >= kinds::first_realtime && (pending >> (number - 1) & 1))
        --number;
    if (number < kinds::first_realtime)
        return;
    std::uint8_t info[128] = {};
    reinterpret_cast<SignalInfo&>(info) = {number, 0, -1 /* SI_QUEUE */, 0, 0, 0, 0};
    const long tid = arch::syscall(__NR_gettid);
    if (long r =
            arch::syscall(__NR_rt_tgsigqueueinfo, arch::syscall(__NR_getpid), tid, number, info);
        r < 0)
        no_room(stub, int(-r));
    const std::uint64_t set = std::uint64_t(1) << (number - 1);
    const struct { std::int64_t s, ns; } at_once = {0, 0};
    arch::syscall(__NR_rt_sigtimedwait, &set, nullptr, &at_once, sizeof set);
}

void queue(Stub& stub, const PendingSignalRecord& signal) {
    const SignalInfo& info = info_of(signal);
    if (info.code == kinds::code_timer) {
        let_posix_timer_expire(stub, info.timer);
        return;
    }
    if (is_taken_at_any_price(info))
        check_room(stub);
    const long pid = arch::syscall(__NR_getpid);
    const long r = signal.tid ? arch::syscall(__NR_rt_tgsigqueueinfo, pid,
                                              arch::syscall(__NR_gettid), info.number, signal.info)
                              : arch::syscall(__NR_rt_sigqueueinfo, pid, info.number, signal.info);
    if (r < 0)
        no_room(stub, int(-r));
}

} // namespace

void restore_pending_signal(Stub& stub, const image::RecordHeader& header) {
    const auto& signal = as<PendingSignalRecord>(header);
    if (signal.tid == 0)
        queue(stub, signal);
}

bool any_signal_waits_for_a_thread(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::pending_signal &&
            as<PendingSignalRecord>(*record).tid != 0)
            return true;
    return false;
}

void queue_pending_signals(Stub& stub, std::int32_t frozen_tid) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::pending_signal &&
            as<PendingSignalRecord>(*record).tid == frozen_tid)
            queue(stub, as<PendingSignalRecord>(*record));
}

} // namespace rfork::stub
