#include "traced/twin.h"

#include "agent/agent.h"
#include "base/proc.h"
#include "process/ptrace.h"
#include "traced/foothold.h"

#include <cerrno>
#include <csignal>
#include <linux/prctl.h>
#include <linux/rseq.h>
#include <sys/wait.h>

extern "C" {
extern const std::uint8_t rfork_twin_call[] __attribute__((visibility("hidden")));
extern const std::uint8_t rfork_twin_call_end[] __attribute__((visibility("hidden")));
}

namespace rfork::capture {

// The end of the room, which the agent needs no more.
std::uint64_t Twin::buffer() const {
    return room_.end - buffer_bytes;
}

Result<void> Twin::begin(pid_t pid, Range room, const kinds::ThreadRecord& thread,
                         std::size_t levels) {
    pid_ = pid;
    room_ = room;
    own_id_ = id_at_level(levels, text_of("/proc/" + std::to_string(pid) + "/status"));
    pidfd_.reset(int(arch::syscall(SYS_pidfd_open, pid, 0)));
    const auto size = std::size_t(rfork_twin_call_end - rfork_twin_call);
    if (!pidfd_ || !poke_bytes(pid, room.start, rfork_twin_call, size) ||
        !poke_bytes(pid, buffer(), agent::twin_name, sizeof agent::twin_name))
        return system_error(EIO, "cannot reach the copy of the process", "try again");
    Result<long> r = call(SYS_prctl, PR_SET_NAME, buffer());
    // The kernel would write into its memory at each move to another CPU.
    if (r && thread.rseq)
        r = call(SYS_rseq, thread.rseq, thread.rseq_size, RSEQ_FLAG_UNREGISTER,
                 thread.rseq_signature);
    return r ? Result<void>() : r.error();
}

// It is ours, so that it may be led step by step.
Result<long> Twin::call(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                        std::uint64_t d, std::uint64_t e) const {
    arch::Registers registers;
    int status = 0;
    if (get_registers(pid_, registers) < 0)
        return died(pid_);
    registers.rip = room_.start;
    registers.rax = std::uint64_t(number);
    registers.orig_rax = ~std::uint64_t(0);
    registers.rdi = a, registers.rsi = b, registers.rdx = c, registers.r10 = d, registers.r8 = e;
    registers.r9 = 0;
    do {
        if (set_registers(pid_, registers) < 0 || trace(PTRACE_SINGLESTEP, pid_, 0, 0) < 0 ||
            arch::syscall(SYS_wait4, pid_, &status, __WALL, nullptr) != pid_ || !WIFSTOPPED(status))
            return died(pid_);
    } while (WSTOPSIG(status) != SIGTRAP || status >> 16);
    if (get_registers(pid_, registers) < 0)
        return died(pid_);
    return long(registers.rax);
}

Result<UniqueFd> Twin::descriptor(int number) const {
    const long fd = arch::syscall(SYS_pidfd_getfd, pidfd_.get(), number, 0);
    if (fd < 0)
        return system_error(int(-fd),
                            "cannot take descriptor " + std::to_string(number) + " of the process");
    return UniqueFd(int(fd));
}

void Twin::end() {
    if (!pid_)
        return;
    trace(PTRACE_CONT, pid_, 0, 0);
    arch::syscall(SYS_kill, pid_, SIGKILL);
    int status = 0;
    while (arch::syscall(SYS_wait4, pid_, &status, __WALL, nullptr) == pid_ && WIFSTOPPED(status))
        trace(PTRACE_CONT, pid_, 0, 0);
    pid_ = 0;
    pidfd_.reset();
}

} // namespace rfork::capture
