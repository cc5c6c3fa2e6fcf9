// What the kernel tells of a stopped thread, while the thread does nothing.
//
// Two sets of registers come of it. One is for here: the thread goes on as if it had never been
// stopped. The other is for a copy, which no kernel remembers: what the kernel would do on its way
// back to user space (make a call again, abort a restartable sequence) is done to it beforehand, as
// far as it does not depend on what is pending (tracer_pending.cc). A thread that has what an image
// cannot carry is refused here.
#include "process/tracer.h"

#include "arch/x86_64/tracee.h"
#include "base/proc.h"
#include "process/ptrace.h"
#include "process/restarted_calls.h"
#include "process/rseq.h"

#include <cerrno>
#include <elf.h>
#include <linux/kcmp.h>

namespace rfork::capture {
namespace {

// Only what there is of it, since memory is touched for the first time here, and everybody waits.
bool read_xstate(pid_t tid, std::vector<std::uint8_t>& xstate) {
    std::uint8_t buffer[arch::xstate_limit];
    iovec io{buffer, sizeof buffer};
    if (trace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io) < 0) {
        io.iov_len = sizeof buffer; // a CPU without XSAVE
        if (trace(PTRACE_GETREGSET, tid, NT_FPREGSET, &io) < 0)
            return false;
    }
    xstate.assign(buffer, buffer + io.iov_len);
    return true;
}

} // namespace

// As soon as it stands still, so that it goes on as if nothing had been whatever comes next, a
// refusal or the end of this process.
void Tracer::take_back_eintr(pid_t tid) {
    arch::Registers registers;
    if (get_registers(tid, registers) < 0 ||
        arch::interruption(registers) != arch::Interrupted::said_eintr)
        return;
    arch::let_kernel_restart(registers);
    set_registers(tid, registers);
}

Result<void> Tracer::read_position(Tracee& tracee) {
    std::uint64_t mask = 0;
    if (trace(PTRACE_GETSIGMASK, tracee.tid, sizeof mask, &mask) < 0 ||
        get_registers(tracee.tid, tracee.registers) < 0)
        return died(tracee.tid);
    if (!tracee.stepped)
        tracee.mask = mask;
    return {};
}

// Threads made by pthread_create(3) share both. Where kcmp(2) is forbidden, they are taken to.
Result<void> Tracer::check_sharing(const Tracee& tracee) const {
    const pid_t with = caller_ ? caller_ : tracees_.front().tid;
    for (const int what : {KCMP_FS, KCMP_FILES}) {
        if (arch::syscall(SYS_kcmp, with, tracee.tid, what, 0, 0) <= 0)
            continue;
        return Error{ENOTSUP, "thread " + std::to_string(tracee.tid) + " has " +
                                  (what == KCMP_FS ? "a working directory" : "descriptors") +
                                  " of its own (unshare(2)), which an image cannot carry yet" +
                                  remedy("before that")};
    }
    return {};
}

bool Tracer::read_rseq(pid_t tid, kinds::ThreadRecord& record) {
    RseqConfiguration rseq;
    if (trace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof rseq, &rseq) < 0)
        return false;
    record.rseq = rseq.address;
    record.rseq_size = rseq.size;
    record.rseq_signature = rseq.signature;
    return true;
}

// Before Linux 6.4 nobody can tell.
Result<void> Tracer::check_dispatch(pid_t tid) const {
    constexpr unsigned get_configuration = 0x4211; // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
    struct {
        std::uint64_t mode, selector, offset, length;
    } dispatch{};
    if (trace(get_configuration, tid, sizeof dispatch, &dispatch) < 0 || dispatch.mode == 0)
        return {};
    return Error{ENOTSUP, "thread " + std::to_string(tid) +
                              " handles system calls by itself (PR_SET_SYSCALL_USER_DISPATCH), "
                              "which an image cannot carry yet" +
                              remedy("before that")};
}

Result<void> Tracer::read(Tracee& tracee) {
    const pid_t tid = tracee.tid;
    kinds::ThreadRecord& record = tracee.thread.record;
    if (Result<void> r = read_position(tracee); !r)
        return r;
    if (Result<void> r = leave_zones(tracee); !r)
        return r;

    if (!read_xstate(tid, tracee.thread.xstate))
        return died(tid);
    record.tid = caller_ ? tid : own_id_in(status_of(std::to_string(tid)));
    record.signal_mask = tracee.mask;
    arch::syscall(SYS_get_robust_list, tid, &record.robust_list, &record.robust_list_size);
    read_rseq(tid, record);
    if (Result<void> r = check_sharing(tracee); !r)
        return r;
    if (Result<void> r = check_dispatch(tid); !r)
        return r;
    return remember(tracee);
}

// What a copy will need to know of the thread's system call, and how the thread goes on here.
Result<void> Tracer::remember(Tracee& tracee) {
    arch::Registers& here = tracee.registers;
    arch::Registers& copy = tracee.thread.record.registers;
    const arch::Interrupted call = arch::interruption(here);
    // Here, too: the query leaves the sequence without the kernel taking it for aborted.
    if (call == arch::Interrupted::no)
        here.rip = after_abort(tracee.tid, tracee.thread.record.rseq, here.rip);
    copy = here;
    if (call != arch::Interrupted::by_stop)
        return {};
    remember_call(tracee.tid, here);
    if (recall_call(tracee.tid, copy))
        return {};
    return Error{EAGAIN,
                 "thread " + std::to_string(tracee.tid) +
                     " is in a system call that somebody has stopped and continued "
                     "(SIGSTOP, a debugger), and the kernel does not tell which: try again"};
}

} // namespace rfork::capture
