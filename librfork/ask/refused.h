// A question that the surroundings do not let a process ask: a system call that every kernel has,
// and that a sandbox refuses. Of what it would have told, nobody may say that it is not there.
#pragma once

#include "arch/arch.h"

#include <cerrno>
#include <cstdint>

namespace rfork::ask {

struct Refused {
    std::uint32_t call; // 0: none
    std::int32_t error;
};

// Makes a system call, and takes note if it is the first that is refused.
template <class... Arguments>
long ask(Refused& refused, long call, Arguments... arguments) {
    const long answer = arch::syscall(call, arguments...);
    if ((answer == -EPERM || answer == -ENOSYS || answer == -EACCES) && !refused.call)
        refused = {std::uint32_t(call), std::int32_t(-answer)};
    return answer;
}

} // namespace rfork::ask
