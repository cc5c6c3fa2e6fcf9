#include "ask/process_query.h"

#include "arch/arch.h"

#include <cerrno>
#include <ctime>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

namespace rfork::ask {
namespace {

// Of prctl(2), 0 for one that the kernel does not know.
std::uint32_t number(Refused& refused, int what) {
    const long answer = ask(refused, SYS_prctl, what, 0, 0, 0, 0);
    return answer > 0 ? std::uint32_t(answer) : 0;
}

std::uint64_t registration_if_granted(int command, int registration) {
    return arch::syscall(SYS_membarrier, command, 0, 0) == 0 ? unsigned(registration) : 0;
}

// Before Linux 6.3 the kernel only tells by refusing what memory is not registered for. Of the
// global command it does not even tell so; to be registered for it means to answer others, which
// does not hurt.
std::uint64_t try_membarriers() {
    const long known = arch::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (known < 0)
        return 0;
    return (std::uint64_t(known) & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) |
           registration_if_granted(MEMBARRIER_CMD_PRIVATE_EXPEDITED,
                                   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) |
           registration_if_granted(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
                                   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) |
           registration_if_granted(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
                                   MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
}

std::uint64_t ask_membarriers() {
    constexpr int get_registrations = 1 << 9; // MEMBARRIER_CMD_GET_REGISTRATIONS, Linux 6.3
    const long told = arch::syscall(SYS_membarrier, get_registrations, 0, 0);
    return told >= 0 ? std::uint64_t(told) : try_membarriers();
}

bool has_children() {
    siginfo_t info;
    return arch::syscall(SYS_waitid, P_ALL, 0, &info,
                         WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT, nullptr) != -ECHILD;
}

std::uint64_t microseconds(const timeval& time) {
    return std::uint64_t(time.tv_sec) * 1000000 + std::uint64_t(time.tv_usec);
}

} // namespace

extern "C" void rfork_ask_process(ProcessAnswers* answers) {
    constexpr int get_mdwe = 66, get_memory_merge = 68; // Linux 6.3, 6.4
    Refused& refused = answers->refused;
    for (unsigned signal = 1; signal <= kinds::signal_count; ++signal)
        ask(refused, SYS_rt_sigaction, signal, nullptr, &answers->signal_actions[signal - 1],
            sizeof(std::uint64_t));
    answers->persona = std::uint64_t(arch::syscall(SYS_personality, 0xffffffff)); // or -errno
    answers->brk = std::uint64_t(arch::syscall(SYS_brk, 0));
    answers->membarriers = ask_membarriers();
    answers->no_new_privileges = number(refused, PR_GET_NO_NEW_PRIVS);
    answers->thp_disable = number(refused, PR_GET_THP_DISABLE);
    answers->dumpable = number(refused, PR_GET_DUMPABLE) == 1;
    answers->deny_write_execute = number(refused, get_mdwe);
    answers->memory_merge = number(refused, get_memory_merge);
    answers->keep_capabilities = number(refused, PR_GET_KEEPCAPS);
    int subreaper = 0;
    arch::syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
    answers->child_subreaper = unsigned(subreaper);
    answers->has_children = has_children();
}

extern "C" void rfork_ask_timers(ProcessAnswers* answers) {
    timespec now{};
    arch::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    answers->timers_asked = std::uint64_t(now.tv_sec) * 1000000000 + std::uint64_t(now.tv_nsec);
    for (unsigned which = 0; which < kinds::interval_timer_count; ++which) {
        itimerval value{};
        ask(answers->refused, SYS_getitimer, which, &value);
        answers->interval_timers[which] = {microseconds(value.it_interval),
                                           microseconds(value.it_value)};
    }
}

} // namespace rfork::ask
