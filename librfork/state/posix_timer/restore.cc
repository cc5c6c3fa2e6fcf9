// Timers get the kernel's own numbers back. Since Linux 6.15 a number can be asked for; before, the
// kernel counts upwards in each process, so timers are made and deleted until the number comes up;
// the records are in ascending order.
//
// A timer whose signal is pending cannot be made by arming it for what remains and queueing the
// signal: the kernel would count the next expiry as another signal, where the program would have
// got one signal and an overrun. The expiry is made to happen once more: armed for the moment of
// the last one before the freeze, the timer runs out at once, its signal is its own, and when the
// program takes it, the kernel goes on from that moment, in step, and counts what was missed. A
// clock that is younger than the interval has no such moment; then the next interval begins now.
#include "format/kinds.h"
#include "format/records/posix_timer.h"
#include "stub/stub.h"

#include <asm/siginfo.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

using kinds::PosixTimerRecord;

constexpr std::uint64_t second = 1000000000;
constexpr int pr_timer_create_restore_ids = 77; // Linux 6.15; 1 turns it on, 0 off

struct Time {
    std::int64_t s = 0, ns = 0;
};
struct Times { // struct itimerspec
    Time interval, value;
};

Time time_of(std::uint64_t nanoseconds) {
    return {std::int64_t(nanoseconds / second), std::int64_t(nanoseconds % second)};
}

bool is_cpu_time(const PosixTimerRecord& timer) {
    return timer.clock < 0;
}

std::int32_t clock_of(const Stub& stub, const PosixTimerRecord& timer) {
    if (!timer.runs_on)
        return timer.clock;
    const std::int32_t tid = tid_now(stub, timer.runs_on);
    return std::int32_t(~std::uint32_t(tid) << 3) | (timer.clock & 7);
}

[[noreturn]] void cannot(const Stub& stub, int error, const char* what,
                         const PosixTimerRecord& timer) {
    char digits[24];
    Text number(digits, sizeof digits);
    number << std::uint64_t(timer.id);
    fail(stub, error, what, digits);
}

// Returns the new timer's number; `wanted` is what the kernel is asked for, if it can be asked.
std::int32_t create(const Stub& stub, const PosixTimerRecord& timer, std::int32_t wanted) {
    sigevent event{};
    event.sigev_value.sival_ptr = reinterpret_cast<void*>(timer.value);
    event.sigev_signo = timer.signal;
    event.sigev_notify = timer.notify;
    if (timer.thread)
        event._sigev_un._tid = tid_now(stub, timer.thread);
    std::int32_t id = wanted;
    const long r = arch::syscall(__NR_timer_create, clock_of(stub, timer), &event, &id);
    if (r == -EAGAIN)
        cannot(
            stub, EAGAIN,
            "cannot create a POSIX timer (raise the limit on pending signals, ulimit -i):", timer);
    if (r < 0)
        cannot(stub, int(-r), "cannot create a POSIX timer:", timer);
    return id;
}

void create_by_counting(const Stub& stub, const PosixTimerRecord& timer) {
    constexpr unsigned enough = 1000000;
    std::int32_t id = -1;
    for (unsigned i = 0; i < enough && (id = create(stub, timer, 0)) < timer.id; ++i)
        arch::syscall(__NR_timer_delete, id);
    if (id != timer.id)
        cannot(stub, EBUSY,
               "this kernel (before Linux 6.15) does not give a POSIX timer the number that it "
               "had:",
               timer);
}

void create_with_its_number(const Stub& stub, const PosixTimerRecord& timer) {
    if (arch::syscall(__NR_prctl, pr_timer_create_restore_ids, 1, 0, 0, 0) < 0) {
        create_by_counting(stub, timer);
        return;
    }
    create(stub, timer, timer.id);
    arch::syscall(__NR_prctl, pr_timer_create_restore_ids, 0, 0, 0, 0);
}

void arm(const Stub& stub, const PosixTimerRecord& timer, int flags, std::uint64_t value) {
    const Times times = {time_of(timer.interval), time_of(value)};
    if (long r = arch::syscall(__NR_timer_settime, timer.id, flags, &times, nullptr); r < 0)
        cannot(stub, int(-r), "cannot set a POSIX timer again:", timer);
}

std::uint64_t moment_of_expiry(const Stub& stub, const PosixTimerRecord& timer) {
    Time now;
    if (long r = arch::syscall(__NR_clock_gettime, clock_of(stub, timer), &now); r < 0)
        cannot(stub, int(-r), "cannot read the clock of a POSIX timer:", timer);
    const std::uint64_t ns = std::uint64_t(now.s) * second + std::uint64_t(now.ns);
    const std::uint64_t since = timer.interval - timer.remaining; // in step with the next one
    return ns > since ? ns - since : ns;
}

// Of a timer that is due but has not run out yet, the kernel says that 1 ns remains; of one that
// has, nothing, or a part of the next interval. A clock of CPU time lets a timer run out as it is
// set (and Linux 6.1 would go on to say 1 ns).
bool has_run_out(const PosixTimerRecord& timer) {
    if (is_cpu_time(timer))
        return true;
    Times times;
    arch::syscall(__NR_timer_gettime, timer.id, &times);
    const bool stopped = times.value.s == 0 && times.value.ns == 0;
    const bool due = times.value.s == 0 && times.value.ns == 1;
    return timer.interval ? !due : stopped;
}

const PosixTimerRecord* find_timer(const Stub& stub, std::int32_t id) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::posix_timer && as<PosixTimerRecord>(*record).id == id)
            return &as<PosixTimerRecord>(*record);
    return nullptr;
}

} // namespace

void let_posix_timer_expire(Stub& stub, std::int32_t id) {
    const PosixTimerRecord* timer = find_timer(stub, id);
    if (!timer || !timer->expiry_pending)
        fail(stub, EBADMSG, "the image holds the signal of a POSIX timer, but no such timer");
    const std::uint64_t moment = moment_of_expiry(stub, *timer);
    arm(stub, *timer, TIMER_ABSTIME, moment ? moment : 1);
    const Deadline deadline(1);
    while (!has_run_out(*timer))
        if (deadline.passed())
            cannot(stub, ETIMEDOUT, "a POSIX timer does not run out:", *timer);
}

void restore_posix_timer(Stub& stub, const image::RecordHeader& header) {
    const auto& timer = as<PosixTimerRecord>(header);
    create_with_its_number(stub, timer);
    if (timer.remaining && !timer.expiry_pending)
        arm(stub, timer, 0, timer.remaining);
}

} // namespace rfork::stub
