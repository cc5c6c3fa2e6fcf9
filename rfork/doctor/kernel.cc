#include "doctor/looks.h"

#include "base/proc.h"
#include "base/unique_fd.h"
#include "doctor/attempt.h"
#include "kernel_needs.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

// Sandboxes answer with EPERM, or with what a kernel says that does not have the call.
std::string why(int error) {
    return std::string(error == ENOSYS ? "this kernel does not have it, or a sandbox says so"
                                       : errno_text(error));
}

const std::string allow_in_sandbox = "allow it in the sandbox (the seccomp profile of a container)";

} // namespace

Finding look_at_release() {
    utsname name{};
    ::uname(&name);
    const std::string found = std::string(name.sysname) + " " + name.release;
    return running_release() >= oldest_release
               ? ok(found)
               : problem(found + " is too old for rfork",
                         "boot Linux " + release_text(oldest_release) + " or later");
}

Finding look_at_memory_areas() {
    unsigned size = 0;
    if (::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) == 0)
        return ok("heap and argument areas can be put back (PR_SET_MM_MAP)");
    return problem("no image runs here: the program's heap and argument areas cannot be put back "
                   "(PR_SET_MM_MAP): " +
                       std::string(errno_text(errno)),
                   "use a kernel with CONFIG_CHECKPOINT_RESTORE, as Debian's are, and allow "
                   "prctl(2) in the sandbox");
}

// <linux/fs.h> of Linux 6.7; Debian 12's headers are older.
Finding look_at_pagemap_scan() {
    struct {
        std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
    } argument{};
    argument.size = sizeof argument;
    const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (::ioctl(pagemap.get(), _IOWR('f', 16, argument), &argument) == 0)
        return ok("untouched memory is skipped");
    return warning("none: all of a program's memory is looked at page by page, which takes long "
                   "where much was never touched",
                   "Linux 6.7 has it");
}

Finding look_at_pidfd_getfd() {
    const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    const UniqueFd same(
        self ? static_cast<int>(::syscall(SYS_pidfd_getfd, self.get(), self.get(), 0)) : -1);
    if (same)
        return ok("descriptors of another process can be looked at");
    return problem("rfork checkpoint cannot look at descriptors of another process: " + why(errno),
                   allow_in_sandbox);
}

Finding look_at_kcmp() {
    const UniqueFd any(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const pid_t self = ::getpid();
    if (::syscall(SYS_kcmp, self, self, KCMP_FILE, any.get(), any.get()) == 0)
        return ok("who shares a file's offset is known");
    return warning("programs with several descriptors of one file are refused, as nobody tells "
                   "which share an offset: " +
                       why(errno),
                   allow_in_sandbox);
}

Finding look_at_process_vm_readv() {
    char from = 'x', to = 0;
    const iovec here{&to, 1}, there{&from, 1};
    if (::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == 1)
        return ok("memory of another process can be read");
    return warning("memory is read through /proc/PID/mem, which is slower: " + why(errno),
                   allow_in_sandbox);
}

Finding look_at_timers() {
    if (::access("/proc/self/timers", R_OK) == 0)
        return ok("/proc/PID/timers lists POSIX timers");
    return warning("programs with POSIX timers are refused: there is no /proc/PID/timers",
                   "use a kernel with CONFIG_CHECKPOINT_RESTORE, as Debian's are");
}

Finding look_at_timer_numbers() {
    constexpr int restore_ids = 77, get = 2; // PR_TIMER_CREATE_RESTORE_IDS, Linux 6.15
    if (::prctl(restore_ids, get, 0, 0, 0) >= 0)
        return ok("POSIX timers get their numbers back at once");
    return warning("a POSIX timer gets its number back by counting up to it, a million at most",
                   "Linux 6.15 has PR_TIMER_CREATE_RESTORE_IDS");
}

Finding look_at_children() {
    const std::string self = std::to_string(::getpid());
    if (::access(("/proc/" + self + "/task/" + self + "/children").c_str(), R_OK) == 0)
        return ok("/proc/PID/task/TID/children lists children");
    return warning("that a process has children is known, but not which: there is no "
                   "/proc/PID/task/TID/children",
                   "use a kernel with CONFIG_PROC_CHILDREN, as Debian's are");
}

Finding look_at_userfaultfd() {
    constexpr unsigned long make = 0xaa00; // USERFAULTFD_IOC_NEW of /dev/userfaultfd, Linux 6.1
    constexpr int user_mode_only = 1;      // UFFD_USER_MODE_ONLY
    const UniqueFd full(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
    if (full)
        return ok("all page faults can be served");
    const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
    const UniqueFd from_device(device ? ::ioctl(device.get(), make, O_CLOEXEC) : -1);
    if (from_device)
        return ok("all page faults can be served, by /dev/userfaultfd");
    const UniqueFd user(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | user_mode_only)));
    if (user)
        return ok("page faults of the program itself can be served, not those of the kernel in its "
                  "name; nothing in this release needs more");
    return warning("page faults cannot be served by a program: " + why(errno) +
                       "; nothing in this release needs it",
                   "let users open /dev/userfaultfd, or sysctl vm.unprivileged_userfaultfd=1");
}

Finding look_at_seccomp() {
    const std::string mode = field(text_of("/proc/self/status"), "Seccomp");
    if (mode.empty() || mode == "0")
        return ok("no system call is filtered");
    return warning("system calls are filtered around rfork: only programs that are filtered in the "
                   "same way, as in a container, can be frozen, and what is forbidden shows in the "
                   "lines around this one",
                   "run rfork where the programs run");
}

} // namespace rfork::tool
