// The program's memory, which may be anything, read by the kernel: false where there is none.
#pragma once

#include "arch/arch.h"

#include <cstddef>
#include <cstdint>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace rfork::capture {

inline bool peek_bytes(std::uint64_t address, void* to, std::size_t size) {
    iovec here{to, size}, there{reinterpret_cast<void*>(address), size};
    return arch::syscall(SYS_process_vm_readv, arch::syscall(SYS_getpid), &here, 1, &there, 1, 0) ==
           long(size);
}

template <class T>
bool peek(std::uint64_t address, T& value) {
    return peek_bytes(address, &value, sizeof value);
}

} // namespace rfork::capture
