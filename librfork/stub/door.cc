// The last moment before the program goes on, in which it is stopped if that is wanted
// (RFORK_STOP), and learns that its terminal has another size now.
//
// A debugger that is attached to what has stopped itself here would find the stub, and not the
// program. So the process in front, where there is one, traces all threads through the rt_sigreturn
// by which they become what they were, and leaves them as they come out of that call, which is
// before their first instruction. They are in a trace stop then. The main thread is let go first,
// with a SIGSTOP on its way to it: that makes it a stop of all, in which the others find themselves
// when they are let go.
//
// Where that is forbidden (ptrace(2), by Yama or a sandbox), and where nobody is in front, the
// program stops in the stub, all the same before its first instruction.
#include "format/kinds.h"
#include "format/records/thread.h"
#include "stub/identity.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/ptrace.h>
#include <linux/time.h>
#include <linux/wait.h>

namespace rfork::stub {
namespace {

constexpr int call_stop = SIGTRAP | 0x80; // PTRACE_O_TRACESYSGOOD

void open(std::uint32_t& word) {
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    arch::syscall(__NR_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

bool is_open(const std::uint32_t& word) {
    return __atomic_load_n(&word, __ATOMIC_ACQUIRE) != 0;
}

void wait_a_moment(const std::uint32_t& word) {
    arch::syscall(__NR_futex, &word, FUTEX_WAIT, 0, &moment, nullptr, 0);
}

// Not where a sandbox refuses getpid(2), as kill(2) would then signal everybody.
void signal_program(int signal) {
    if (const long self = arch::syscall(__NR_getpid); self > 0)
        arch::syscall(__NR_kill, self, signal);
}

long trace(long request, int tid, std::uint64_t address, const void* data) {
    return arch::syscall(__NR_ptrace, request, tid, address, data);
}

void resume(long request, int tid, long signal = 0) {
    arch::syscall(__NR_ptrace, request, tid, 0, signal);
}

// By what it has stopped, with a ptrace event above the signal; 0 if it has ended, which is for the
// supervisor to see.
int wait_for_stop(int tid) {
    siginfo_t info{};
    arch::syscall(__NR_waitid, P_PID, tid, &info, WSTOPPED | WEXITED | WNOWAIT | __WALL, nullptr);
    return info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED ? info.si_status : 0;
}

bool hold(int tid) {
    constexpr long options = PTRACE_O_TRACESYSGOOD;
    return arch::syscall(__NR_ptrace, PTRACE_SEIZE, tid, 0, options) == 0 &&
           arch::syscall(__NR_ptrace, PTRACE_INTERRUPT, tid, 0, 0) == 0 && wait_for_stop(tid) != 0;
}

bool begins_to_return(int tid) {
    ptrace_syscall_info info{};
    trace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info);
    return info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == __NR_rt_sigreturn;
}

// To the end of that call.
void run_until_it_has_returned(int tid) {
    bool returns = false;
    for (int signal = 0;;) {
        resume(PTRACE_SYSCALL, tid, signal);
        signal = wait_for_stop(tid);
        if (signal == 0 || (signal == call_stop && returns))
            return;
        if (signal == call_stop)
            returns = begins_to_return(tid);
        if (signal == call_stop || signal > 0xff)
            signal = 0; // nothing that was on its way to it
    }
}

// `act` says whether to go on; for_each_thread(), whether it always did.
template <class Act>
bool for_each_thread(int program, Act act) {
    constexpr unsigned size_at = 16, name_at = 19; // in struct linux_dirent64 of getdents64(2)
    alignas(8) char path[40], buffer[4096];
    Text(path, sizeof path) << "/proc/" << std::uint64_t(program) << "/task";
    const long fd = arch::syscall(__NR_open, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool all = fd >= 0;
    long got = 0;
    while (all && (got = arch::syscall(__NR_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; all && at < got;) {
            const char* name = buffer + at + name_at;
            std::uint64_t tid = 0;
            if (parse_unsigned(name, tid, 10))
                all = act(int(tid));
            at += *reinterpret_cast<const std::uint16_t*>(buffer + at + size_at);
        }
    }
    arch::syscall(__NR_close, fd);
    return all && got == 0;
}

void let_all_go(int program) {
    for_each_thread(program, [](int tid) {
        resume(PTRACE_DETACH, tid);
        return true;
    });
}

// One that had ended before the freeze cannot be waited for.
bool has_main_thread(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::thread &&
            as<kinds::ThreadRecord>(*record).flags & kinds::thread_leads)
            return true;
    return false;
}

bool hold_all(const Stub& stub, int program) {
    if (has_main_thread(stub) && for_each_thread(program, hold))
        return true;
    let_all_go(program);
    return false;
}

bool has_ended(int program) {
    siginfo_t info{};
    arch::syscall(__NR_waitid, P_PID, program, &info, WEXITED | WNOHANG | WNOWAIT, nullptr);
    return info.si_pid == program;
}

void wait_until_stopped(int program) {
    while (state_of(program) == State::not_stopped && !has_ended(program))
        arch::syscall(__NR_nanosleep, &moment, nullptr);
}

void stop_as_the_program(const Supervision& supervision) {
    const int program = supervision.program;
    open(supervision.page->door);
    run_until_it_has_returned(program);
    for_each_thread(program, [&](int tid) {
        if (tid != program)
            run_until_it_has_returned(tid);
        return true;
    });
    arch::syscall(__NR_tgkill, program, program, SIGSTOP);
    resume(PTRACE_DETACH, program);
    wait_until_stopped(program);
    let_all_go(program);
}

} // namespace

void stop_at_the_door(const Stub& stub, const Supervision& supervision) {
    SupervisionPage& page = *supervision.page;
    while (!is_open(page.arrived))
        if (wait_a_moment(page.arrived); has_ended(supervision.program))
            return;
    if (hold_all(stub, supervision.program))
        return stop_as_the_program(supervision);
    arch::syscall(__NR_kill, supervision.program, SIGSTOP);
    open(page.door);
}

bool is_at_the_door(const Supervision& supervision) {
    return is_open(supervision.page->arrived);
}

void pass_the_door(const Stub& stub) {
    if (stub.supervised) {
        open(stub.supervision_page->arrived);
        while (stub.stops && !is_open(stub.supervision_page->door))
            wait_a_moment(stub.supervision_page->door);
        return;
    }
    if (stub.other_window)
        signal_program(SIGWINCH);
    if (stub.stops)
        signal_program(SIGSTOP);
}

} // namespace rfork::stub
