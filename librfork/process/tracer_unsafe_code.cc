// Out of code in which no thread may be frozen.
//
// The vDSO of another host is other code, so nobody may wake up in the middle of it: a thread is
// led out instruction by instruction. Code of ours by which a thread leaves an earlier resume
// (rfork_depart) ends in rt_sigreturn(2), which sets the mask that steps would put back; so there
// the thread runs on and is stopped anew. Where it is then may be such code again, so it is looked
// at until it is not. So it is with what a freezer that was killed has left (traced/leftovers.h).
#include "process/tracer.h"

#include "arch/x86_64/tracee.h"
#include "base/clock.h"
#include "process/ptrace.h"
#include "process/stops.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <sys/wait.h>

namespace rfork::capture {
namespace {

// A short time leads it to another place soonest; but on a host with much to do it does not run at
// once, and what is stopped before it runs has not got on.
long moment_for(unsigned tries) {
    constexpr long us = 1000;
    return tries < 100 ? us << tries % 7 : tries < 300 ? 1000 * us : 10'000 * us;
}

} // namespace

const UnsafeCode* Tracer::unsafe_code_at(std::uint64_t address) const {
    for (const UnsafeCode& code : unsafe_code_)
        if (code.contains(address))
            return &code;
    return nullptr;
}

Result<void> Tracer::leave_zones(Tracee& tracee) {
    constexpr unsigned enough_steps = 100'000, enough_runs = 2'000;
    for (unsigned tries = 0; tries < enough_steps; ++tries) {
        const UnsafeCode* code = unsafe_code_at(tracee.registers.rip);
        if (!code)
            return {};
        if (!code->by_steps && tries > enough_runs)
            break;
        if (code->is_left)
            end_wait(tracee);
        if (Result<void> r = code->by_steps ? step(tracee) : run_on(tracee, tries); !r)
            return r;
    }
    return Error{EAGAIN, "thread " + std::to_string(tracee.tid) +
                             " does not come out of the vDSO: try again"};
}

// With signals blocked, since a handler might not come back. But for SIGTRAP, with which the kernel
// tells of the step: blocked, it would be unblocked and its action forgotten.
Result<void> Tracer::step(Tracee& tracee) {
    int signal = 0;
    tracee.stepped = touched_ = true; // query() puts the mask back in force
    do {
        int status = 0;
        if (set_mask(tracee.tid, all_signals & ~bit(SIGTRAP)) < 0 ||
            trace(PTRACE_SINGLESTEP, tracee.tid, 0, signal) < 0 ||
            arch::syscall(SYS_wait4, tracee.tid, &status, __WALL, nullptr) < 0 ||
            !WIFSTOPPED(status))
            return died(tracee.tid);
        const bool of_signal = status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP;
        signal = of_signal ? WSTOPSIG(status) : 0; // SIGSTOP, which no mask keeps away
    } while (signal);
    return read_position(tracee);
}

void Tracer::end_wait(const Tracee& tracee) {
    const std::uint64_t at = arch::time_left_at(tracee.registers);
    for (unsigned i = 0; at && i < 16; i += sizeof(long))
        trace(PTRACE_POKEDATA, tracee.tid, at + i, 0L);
}

Result<void> Tracer::run_on(Tracee& tracee, unsigned tries) {
    if (tracee.stepped && set_mask(tracee.tid, tracee.mask) < 0)
        return died(tracee.tid);
    tracee.stepped = false;
    if (trace(PTRACE_CONT, tracee.tid, 0, 0) < 0)
        return died(tracee.tid);
    const timespec a_moment{0, moment_for(tries)};
    arch::syscall(SYS_nanosleep, &a_moment, nullptr);
    deadline_ = std::max(deadline_, monotonic_ns() + patience_ns);
    interrupt(tracee.tid);
    tracee.stopped = false;
    if (Result<void> r = wait_until_stopped(tracee); !r)
        return r;
    return tracee.stopped ? read_position(tracee) : died(tracee.tid);
}

} // namespace rfork::capture
