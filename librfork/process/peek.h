// Another process's memory, or our own, which may be anything, read by the kernel. Of another
// process: as ptrace(2) permits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace rfork::capture {

// How many bytes there were, or -errno: EFAULT where there is none.
long peek_bytes(pid_t pid, std::uint64_t address, void* to, std::size_t size);

template <class T>
bool peek(pid_t pid, std::uint64_t address, T& value) {
    return peek_bytes(pid, address, &value, sizeof value) == long(sizeof value);
}

} // namespace rfork::capture
