#include "process/stops.h"

#include "base/clock.h"
#include "process/ptrace.h"

#include <csignal>
#include <ctime>
#include <sys/wait.h>

namespace rfork::capture {

bool wait_for_change(std::uint64_t deadline) {
    const std::uint64_t now = monotonic_ns();
    if (now >= deadline)
        return false;
    const std::uint64_t set = bit(SIGCHLD), left = deadline - now;
    const timespec time{time_t(left / 1'000'000'000), long(left % 1'000'000'000)};
    arch::syscall(SYS_rt_sigtimedwait, &set, nullptr, &time, sizeof set);
    return true;
}

// The stop is only looked at: once it has been waited for, the kernel forgets the signal if this
// process is killed.
Change look(pid_t tid) {
    for (;;) {
        siginfo_t info{};
        const long r = arch::syscall(SYS_waitid, P_PID, tid, &info,
                                     WEXITED | WSTOPPED | __WALL | WNOHANG | WNOWAIT, nullptr);
        if (r == 0 && info.si_pid == 0)
            return Change::nothing;
        if (r < 0 || (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)) {
            int status = 0;
            arch::syscall(SYS_wait4, tid, &status, __WALL | WNOHANG, nullptr);
            return Change::gone;
        }
        if (info.si_status >> 8 == PTRACE_EVENT_STOP)
            return Change::stopped;
        if (trace(PTRACE_CONT, tid, 0, info.si_status & 0x7f) < 0)
            return Change::nothing; // it is being killed
        // Any stop answers an interruption, also one for a signal (Linux: ptrace_stop()).
        interrupt(tid);
    }
}

void interrupt(pid_t tid) {
    siginfo_t info{};
    arch::syscall(SYS_waitid, P_PID, tid, &info, WSTOPPED | __WALL | WNOHANG | WNOWAIT, nullptr);
    if (info.si_pid != tid)
        trace(PTRACE_INTERRUPT, tid, 0, 0);
}

// One that has been stopped by SIGSTOP stands still for its tracer as soon as it is seized.
long seize_and_interrupt(pid_t tid) {
    const long r = trace(PTRACE_SEIZE, tid, 0, 0);
    if (r >= 0)
        interrupt(tid);
    return r;
}

} // namespace rfork::capture
