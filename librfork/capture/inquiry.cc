// Compiled with -mgeneral-regs-only.
#include "capture/inquiry.h"

#include "arch/arch.h"

#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <sys/syscall.h>

namespace rfork::capture {

void ask_rights(Rights& rights) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    arch::syscall(SYS_getresuid, &rights.user[0], &rights.user[1], &rights.user[2]);
    arch::syscall(SYS_getresgid, &rights.group[0], &rights.group[1], &rights.group[2]);
    arch::syscall(SYS_capget, &header, &rights.capabilities);
    rights.no_new_privileges =
        std::uint64_t(arch::syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    rights.keep_capabilities = std::uint64_t(arch::syscall(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0));
}

void ask_kernel_of_thread(Inquiry& inquiry) {
    arch::syscall(SYS_prctl, PR_GET_TID_ADDRESS, &inquiry.tid_address, 0, 0, 0);
    arch::syscall(SYS_sigaltstack, nullptr, &inquiry.altstack);
    inquiry.timer_slack = std::uint64_t(arch::syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0));
    arch::syscall(SYS_prctl, PR_GET_NAME, inquiry.name, 0, 0, 0);
    inquiry.machine_checks = std::uint32_t(arch::syscall(SYS_prctl, PR_MCE_KILL_GET, 0, 0, 0, 0));
    arch::syscall(SYS_prctl, PR_GET_TSC, &inquiry.tsc, 0, 0, 0);
    ask_rights(inquiry.rights);
    arch::syscall(SYS_rt_sigpending, &inquiry.pending, sizeof inquiry.pending);
    arch::syscall(SYS_sched_getattr, 0, &inquiry.scheduling, sizeof inquiry.scheduling, 0);
}

void take_answers(const Inquiry& inquiry, kinds::ThreadRecord& record) {
    record.tid_address = inquiry.tid_address;
    record.timer_slack = inquiry.timer_slack;
    record.machine_checks = inquiry.machine_checks;
    if (inquiry.tsc == PR_TSC_SIGSEGV)
        record.flags |= kinds::thread_without_tsc;
    record.scheduling = inquiry.scheduling;
    record.altstack_sp = inquiry.altstack.sp;
    record.altstack_flags = std::uint32_t(inquiry.altstack.flags);
    record.altstack_size = inquiry.altstack.size;
    for (unsigned i = 0; i < sizeof record.name; ++i)
        record.name[i] = inquiry.name[i];
}

extern "C" [[noreturn]] void rfork_inquire(Inquiry* inquiry) {
    ask_kernel_of_thread(*inquiry);
    __atomic_store_n(&inquiry->answered, 1, __ATOMIC_RELEASE);
    arch::syscall(SYS_futex, &inquiry->answered, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    // Without a time-out, because that would take the place of what the kernel remembers of the
    // system call that the thread was stopped in.
    for (;;)
        arch::syscall(SYS_futex, &inquiry->never, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

} // namespace rfork::capture
