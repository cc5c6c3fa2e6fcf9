#include "process/refused.h"

#include <string>
#include <sys/syscall.h>

namespace rfork::capture {
namespace {

std::string name_of(std::uint32_t call) {
    switch (call) {
    case SYS_getitimer:
        return "getitimer";
    case SYS_personality:
        return "personality";
    case SYS_prctl:
        return "prctl";
    case SYS_rt_sigaction:
        return "sigaction";
    case SYS_rt_sigpending:
        return "sigpending";
    case SYS_sched_getattr:
        return "sched_getattr";
    case SYS_sigaltstack:
        return "sigaltstack";
    }
    return "syscall";
}

} // namespace

Error refused_by_surroundings(const ask::Refused& refused) {
    return {ENOTSUP, "the process may not ask what it has set, by " + name_of(refused.call) +
                         "(2) (" + std::string(errno_text(refused.error)) +
                         "), so an image would be without that: allow it in the sandbox (the "
                         "seccomp profile of a container)"};
}

} // namespace rfork::capture
