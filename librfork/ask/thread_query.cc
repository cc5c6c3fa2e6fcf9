// Compiled with -mgeneral-regs-only.
#include "ask/thread_query.h"

#include "arch/arch.h"

#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <sys/syscall.h>

namespace rfork::ask {

void ask_rights(Rights& rights) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    arch::syscall(SYS_getresuid, &rights.user[0], &rights.user[1], &rights.user[2]);
    arch::syscall(SYS_getresgid, &rights.group[0], &rights.group[1], &rights.group[2]);
    arch::syscall(SYS_capget, &header, &rights.capabilities);
    rights.no_new_privileges =
        std::uint64_t(arch::syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    rights.keep_capabilities = std::uint64_t(arch::syscall(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0));
}

void ask_kernel_of_thread(ThreadQuery& query) {
    Refused& refused = query.refused;
    arch::syscall(SYS_prctl, PR_GET_TID_ADDRESS, &query.tid_address, 0, 0, 0);
    ask(refused, SYS_sigaltstack, nullptr, &query.altstack);
    query.timer_slack = std::uint64_t(ask(refused, SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0));
    ask(refused, SYS_prctl, PR_GET_NAME, query.name, 0, 0, 0);
    query.machine_checks = std::uint32_t(arch::syscall(SYS_prctl, PR_MCE_KILL_GET, 0, 0, 0, 0));
    arch::syscall(SYS_prctl, PR_GET_TSC, &query.tsc, 0, 0, 0);
    ask_rights(query.rights);
    ask(refused, SYS_rt_sigpending, &query.pending, sizeof query.pending);
    ask(refused, SYS_sched_getattr, 0, &query.scheduling, sizeof query.scheduling, 0);
}

void take_answers(const ThreadQuery& query, kinds::ThreadRecord& record) {
    record.tid_address = query.tid_address;
    record.timer_slack = query.timer_slack;
    record.machine_checks = query.machine_checks;
    if (query.tsc == PR_TSC_SIGSEGV)
        record.flags |= kinds::thread_without_tsc;
    record.scheduling = query.scheduling;
    record.altstack_sp = query.altstack.sp;
    record.altstack_flags = std::uint32_t(query.altstack.flags);
    record.altstack_size = query.altstack.size;
    for (unsigned i = 0; i < sizeof record.name; ++i)
        record.name[i] = query.name[i];
}

extern "C" [[noreturn]] void rfork_ask_thread(ThreadQuery* query) {
    ask_kernel_of_thread(*query);
    __atomic_store_n(&query->answered, 1, __ATOMIC_RELEASE);
    arch::syscall(SYS_futex, &query->answered, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    // Without a time-out, because that would take the place of what the kernel remembers of the
    // system call that the thread was stopped in.
    for (;;)
        arch::syscall(SYS_futex, &query->never, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

} // namespace rfork::ask
