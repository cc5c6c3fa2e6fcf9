// What the tracer's files have in common: requests to ptrace(2), answered as the kernel answers,
// and the errors that come of them.
#pragma once

#include "arch/arch.h"
#include "base/result.h"

#include <cstdint>
#include <elf.h>
#include <linux/ptrace.h>
#include <string>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace rfork::capture {

constexpr std::uint64_t patience_ns = 10'000'000'000;
constexpr std::uint64_t all_signals = ~std::uint64_t(0);

template <class Address, class Data>
long trace(unsigned request, pid_t tid, Address address, Data data) {
    return arch::syscall(SYS_ptrace, request, tid, address, data);
}

inline long get_registers(pid_t tid, arch::Registers& registers) {
    iovec io{&registers, sizeof registers};
    return trace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io);
}

inline long set_registers(pid_t tid, const arch::Registers& registers) {
    iovec io{const_cast<arch::Registers*>(&registers), sizeof registers};
    return trace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io);
}

inline long set_mask(pid_t tid, std::uint64_t mask) {
    return trace(PTRACE_SETSIGMASK, tid, sizeof mask, &mask);
}

constexpr std::uint64_t bit(int signal) {
    return std::uint64_t(1) << (signal - 1);
}

inline Error cannot_stop(pid_t tid, int error) {
    return system_error(error, "cannot stop thread " + std::to_string(tid) + " to read it",
                        "a program that is being traced (strace, gdb) cannot travel when it has "
                        "several threads or pending signals, nor where ptrace(2) is forbidden "
                        "(kernel.yama.ptrace_scope 2 or 3, a container's seccomp profile)");
}

inline Error died(pid_t tid) {
    return {EIO, "thread " + std::to_string(tid) + " came to its end while it was being read"};
}

} // namespace rfork::capture
