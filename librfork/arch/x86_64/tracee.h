// A stopped thread's registers, as its tracer sees and sets them.
//
// A thread that is stopped in a system call comes to its tracer after the call has been broken off:
// rax holds what the kernel is about to do about it (linux/errno.h has the codes that user space
// never sees), orig_rax the number of the call, and all arguments are still in place. So a call can
// be made again by going back over its instruction. That is what the kernel itself does when
// nothing but the stop has interrupted the call; but calls that say EINTR at once (epoll_wait,
// sigtimedwait, semtimedop, reads of a socket with a time-out) it leaves at that, and their tracer
// has to do it.
#pragma once

#include "arch/x86_64/machine.h"

#include <cerrno>
#include <sys/syscall.h>

namespace rfork::arch {

// What a broken-off system call asks for.
enum class Interrupted {
    no,        // it was none, or it has its result
    restart,   // by the kernel, before user space sees anything (ERESTARTNOINTR)
    by_action, // after a handler only with SA_RESTART (ERESTARTSYS)
    by_stop,   // not after a handler (ERESTARTNOHAND, ERESTART_RESTARTBLOCK)
    said_eintr // the kernel would leave it at EINTR
};

inline Interrupted interruption(const Registers& r) {
    constexpr std::int64_t restart_sys = -512, restart_noint = -513, restart_nohand = -514,
                           restart_block = -516;
    const auto number = std::int64_t(r.orig_rax);
    if (number < 0)
        return Interrupted::no;
    switch (std::int64_t(r.rax)) {
    case restart_sys:
        return Interrupted::by_action;
    case restart_noint:
        return Interrupted::restart;
    case restart_nohand:
    case restart_block:
        return Interrupted::by_stop;
    case -EINTR: // a descriptor is closed even when close(2) says so
        return number == SYS_close ? Interrupted::no : Interrupted::said_eintr;
    }
    return Interrupted::no;
}

inline void make_call_again(Registers& r) {
    constexpr unsigned syscall_instruction = 2;
    r.rip -= syscall_instruction;
    r.rax = r.orig_rax;
    r.orig_rax = ~std::uint64_t(0);
}

// Where pselect6(2), in which the thread has been stopped, has the rest of its time-out, of 16 bytes.
// 0: it is not in that call.
inline std::uint64_t time_left_at(const Registers& r) {
    constexpr std::uint64_t pselect6 = 270;
    return r.orig_rax == pselect6 ? r.r8 : 0;
}

// Lets the kernel decide, when the thread goes on, whether a signal ends the call.
inline void let_kernel_restart(Registers& r) {
    constexpr std::int64_t restart_nohand = -514;
    r.rax = std::uint64_t(restart_nohand);
}

inline void end_call_with(Registers& r, int error) {
    r.rax = std::uint64_t(-std::int64_t(error));
    r.orig_rax = ~std::uint64_t(0);
}

// The registers of a thread that is to call function(argument) on a stack of its own, and not as
// part of the system call it was stopped in.
inline Registers calling(const Registers& r, std::uint64_t function, std::uint64_t argument,
                         std::uint64_t stack_top) {
    Registers call = r;
    call.rip = function;
    call.rdi = argument;
    call.rsp = stack_top / 16 * 16 - 8; // as if a return address had been pushed
    call.rbp = 0;
    call.eflags = 0x202; // interrupts on, as always
    call.orig_rax = ~std::uint64_t(0);
    return call;
}

} // namespace rfork::arch
