#include "process/peek.h"

#include "arch/arch.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace rfork::capture {
namespace {

// The older way, by a file that has an error of its own for what is not there.
long peek_by_file(pid_t pid, std::uint64_t address, void* to, std::size_t size) {
    char name[32];
    std::snprintf(name, sizeof name, "/proc/%d/mem", int(pid));
    const long fd = arch::syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    const long got = arch::syscall(SYS_pread64, fd, to, size, address);
    arch::syscall(SYS_close, fd);
    return got == -EIO || got == 0 ? -EFAULT : got;
}

} // namespace

// By system calls: errno may be the program's. Sandboxes forbid process_vm_readv(2), and kernels
// may be without it (CONFIG_CROSS_MEMORY_ATTACH).
long peek_bytes(pid_t pid, std::uint64_t address, void* to, std::size_t size) {
    iovec here{to, size}, there{reinterpret_cast<void*>(address), size};
    const long got = arch::syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0);
    if (got != -EPERM && got != -ENOSYS && got != -EACCES)
        return got;
    const long by_file = peek_by_file(pid, address, to, size);
    return by_file >= 0 || by_file == -EFAULT ? by_file : got;
}

} // namespace rfork::capture
