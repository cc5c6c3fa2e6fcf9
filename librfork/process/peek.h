// Another process's memory, or our own, which may be anything, read by the kernel. Of another
// process: as ptrace(2) permits.
#pragma once

#include "arch/arch.h"

#include <cstddef>
#include <cstdint>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>

namespace rfork::capture {

// How many bytes there were, or -errno.
inline long peek_bytes(pid_t pid, std::uint64_t address, void* to, std::size_t size) {
    iovec here{to, size}, there{reinterpret_cast<void*>(address), size};
    return arch::syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0);
}

template <class T>
bool peek(pid_t pid, std::uint64_t address, T& value) {
    return peek_bytes(pid, address, &value, sizeof value) == long(sizeof value);
}

} // namespace rfork::capture
