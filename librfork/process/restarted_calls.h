// Which system call a thread is in that the kernel has started again.
//
// After a stop, of ours or of a shell's, the kernel continues poll, nanosleep, clock_nanosleep and
// futex by restart_syscall(2), which keeps their time-outs exact; but then it says of the thread
// that it is in restart_syscall, and a copy has to make the original call. So what a thread was in
// is remembered when we stop it ourselves; and where somebody else has stopped it, the number is
// looked for in the code in front of the system call instruction, where libc's wrappers load it, or
// in front of the call of syscall(3).
#pragma once

#include "arch/arch.h"

#include <cstdint>
#include <sys/types.h>

namespace rfork::capture {

// The thread is in a call that the kernel will restart.
void remember_call(pid_t tid, const arch::Registers& registers);

// Puts the number of the original call into orig_rax. False if nobody knows it.
bool recall_call(pid_t tid, arch::Registers& registers);

} // namespace rfork::capture
