#include "doctor/looks.h"

#include "base/proc.h"
#include "doctor/attempt.h"
#include "process/ptrace.h"

#include <cerrno>
#include <functional>
#include <sys/wait.h>

namespace rfork::tool {
namespace {

using capture::trace;

// Stops it, does something to it while it stands still, and lets it go.
int trace_briefly(pid_t pid, const std::function<long()>& meanwhile) {
    if (const long r = trace(PTRACE_SEIZE, pid, 0, 0); r < 0)
        return int(-r);
    if (const long r = trace(PTRACE_INTERRUPT, pid, 0, 0); r < 0)
        return int(-r);
    int status = 0;
    if (::waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
        return ESRCH;
    const long result = meanwhile();
    trace(PTRACE_DETACH, pid, 0, 0);
    return result < 0 ? int(-result) : 0;
}

long do_nothing() {
    return 0;
}

int trace_own_child() {
    const IdleChild child;
    return child.pid() < 0 ? errno : trace_briefly(child.pid(), do_nothing);
}

// One child of ours traces another, to which it is a stranger.
int trace_stranger() {
    const IdleChild stranger;
    if (stranger.pid() < 0)
        return errno;
    return try_in_child([&] { return trace_briefly(stranger.pid(), do_nothing); });
}

int ask_for_rseq() {
    struct {
        std::uint64_t address;
        std::uint32_t size, signature, flags, pad;
    } configuration{};
    const IdleChild child;
    if (child.pid() < 0)
        return errno;
    return trace_briefly(child.pid(), [&] {
        return trace(PTRACE_GET_RSEQ_CONFIGURATION, child.pid(), sizeof configuration,
                     &configuration);
    });
}

std::string yama() {
    const std::string scope = text_of("/proc/sys/kernel/yama/ptrace_scope");
    return scope.empty() ? "" : "kernel.yama.ptrace_scope is " + scope.substr(0, scope.size() - 1);
}

std::string why(int error) {
    const std::string scope = yama();
    return std::string(errno_text(error)) + (scope.empty() ? "" : ", " + scope);
}

} // namespace

Finding look_at_tracing_others() {
    const int error = trace_stranger();
    if (error == 0)
        return ok("processes of this user can be frozen by their pid");
    return warning("rfork checkpoint cannot freeze processes that it has not started itself "
                   "(ptrace(2)): " +
                       why(error),
                   "start programs by rfork run, or sysctl kernel.yama.ptrace_scope=0, or allow "
                   "ptrace in the sandbox (in a container, CAP_SYS_PTRACE)");
}

Finding look_at_tracing_children() {
    const int error = try_in_child(trace_own_child);
    if (error == 0)
        return ok("own children can be traced");
    return problem("nobody can be traced (ptrace(2)): rfork freezes no process from outside, and "
                   "none with several threads from inside: " +
                       why(error),
                   "start programs by rfork run --preload, or allow ptrace: "
                   "kernel.yama.ptrace_scope 0 or 1, and in the sandbox");
}

Finding look_at_rseq() {
    const int error = try_in_child(ask_for_rseq);
    if (error == 0)
        return ok("restartable sequences of other threads are known");
    return warning("restartable sequences (rseq) of another process are not told "
                   "(PTRACE_GET_RSEQ_CONFIGURATION): " +
                       std::string(errno_text(error)),
                   "Linux 5.13 tells them, where tracing is allowed");
}

} // namespace rfork::tool
