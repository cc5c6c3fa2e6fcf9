#include "process/own_landlock.h"

#include "arch/arch.h"

#include <cerrno>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::capture {
namespace {

constexpr int most_layers = 16; // landlock(7)

struct Answer {
    bool confined = false;
    int error = 0;
};

// In a process of its own: whether there was a layer before.
Answer fill_up() {
    landlock_ruleset_attr rules{};
    rules.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_CHAR;
    const long fd =
        arch::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules.handled_access_fs, 0);
    if (fd == -ENOSYS || fd == -EOPNOTSUPP)
        return {}; // a kernel without it, or one that was booted so
    if (fd < 0)
        return {false, int(-fd)};
    for (int layer = 0; layer < most_layers; ++layer)
        if (const long r = arch::syscall(SYS_landlock_restrict_self, fd, 0); r < 0)
            return r == -E2BIG ? Answer{true, 0} : Answer{false, int(-r)};
    return {};
}

} // namespace

Result<bool> is_in_landlock_domain() {
    volatile bool confined = false;
    volatile int error = EINTR; // unless the child lives to say otherwise
    const pid_t child = vfork();
    if (child == 0) {
        const Answer answer = fill_up();
        confined = answer.confined;
        error = answer.error;
        _exit(0);
    }
    if (child < 0)
        error = errno;
    while (child > 0 && waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (error)
        return system_error(error, "cannot find out whether the process is confined by Landlock");
    return confined;
}

} // namespace rfork::capture
