#include "api/aside.h"

#include "api/blocked_signals.h"
#include "arch/arch.h"

#include <cerrno>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace rfork::api {
namespace {

extern "C" long rfork_clone_helper(std::uint64_t flags, std::uint64_t stack_top,
                                   std::uint32_t* parent_tid, std::uint32_t* child_tid,
                                   void (*function)(void*), void* argument);

struct Step {
    void (*work)(void*);
    void* context;
};

void take(void* argument) {
    const Step& step = *static_cast<Step*>(argument);
    step.work(step.context);
    arch::syscall(SYS_exit_group, 0);
}

} // namespace

// What is sent to the whole process group reaches the process aside, too; the program's handlers
// must not run in it.
Result<void> run_aside(const Session& session, void (*work)(void*), void* context) {
    const BlockedSignals blocked;
    Step step{work, context};
    const long child =
        rfork_clone_helper(CLONE_VM | CLONE_VFORK, session.start() + session_stack_bottom, nullptr,
                           nullptr, take, &step);
    if (child < 0)
        return system_error(int(-child), "cannot start a process to read the key",
                            "raise the limit on processes (ulimit -u)");
    // No exit signal: neither the program's handler nor its wait(-1) sees it.
    while (arch::syscall(SYS_wait4, child, nullptr, __WALL, nullptr) == -EINTR) {
    }
    return {};
}

} // namespace rfork::api
