// The program's memory, which may be anything, read by the kernel.
#pragma once

#include "arch/arch.h"
#include "base/result.h"
#include "process/peek.h"

#include <cerrno>
#include <sys/syscall.h>

namespace rfork::capture {

// How many bytes there were, or -errno: EFAULT where there is none.
inline long peek_own(std::uint64_t address, void* to, std::size_t size) {
    return peek_bytes(pid_t(arch::syscall(SYS_getpid)), address, to, size);
}

// What no memory explains: as a rule, that a sandbox forbids to look at any.
inline Error cannot_peek(long result) {
    Error error = system_error(int(-result), "cannot look at memory of the process",
                               "allow process_vm_readv(2), or /proc/self/mem, in the sandbox (the "
                               "seccomp profile of a container)");
    error.code = ENOTSUP;
    return error;
}

} // namespace rfork::capture
