// The program's memory, which may be anything, read by the kernel: false where there is none.
#pragma once

#include "process/peek.h"

namespace rfork::capture {

template <class T>
bool peek(std::uint64_t address, T& value) {
    return peek(pid_t(arch::syscall(SYS_getpid)), address, value);
}

} // namespace rfork::capture
