#include "capture/landlock.h"

#include "arch/arch.h"

#include <cerrno>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

constexpr int most_layers = 16; // landlock(7)

// In a process of its own: whether there was a layer before.
bool fills_up_early() {
    landlock_ruleset_attr rules{};
    rules.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_CHAR;
    const long fd =
        arch::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
    if (fd < 0)
        return false;
    for (int layer = 0; layer < most_layers; ++layer)
        if (const long r = arch::syscall(SYS_landlock_restrict_self, fd, 0); r < 0)
            return r == -E2BIG;
    return false;
}

} // namespace

bool is_in_landlock_domain() {
    volatile bool is = false;
    const pid_t child = vfork();
    if (child == 0) {
        is = fills_up_early();
        _exit(0);
    }
    while (child > 0 && waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return is;
}

} // namespace rfork::capture
