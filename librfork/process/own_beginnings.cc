#include "process/own_beginnings.h"

#include "arch/arch.h"

#include <fcntl.h>
#include <sys/syscall.h>

namespace rfork::capture {
namespace {

Beginnings at_start;

// When the library is loaded: with the program, as a rule.
[[gnu::constructor]] void look() {
    for (unsigned i = 0; i < kinds::limit_count; ++i)
        arch::syscall(SYS_prlimit64, 0, i, nullptr, &at_start.limits[i]);
    arch::syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", at_start.executable,
                  sizeof at_start.executable - 1);
}

} // namespace

const Beginnings& own_beginnings() {
    return at_start;
}

} // namespace rfork::capture
