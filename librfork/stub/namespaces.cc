// User, pid and mount namespaces, made with as few rights as there are.
//
// An ordinary user may make the others only inside a user namespace of his own, in which no user or
// group exists but himself: what belongs to others seems to belong to nobody (65534), and their
// set-user-ID programs do nothing for him. Whoever has CAP_SYS_ADMIN needs none, and gets none.
#include "stub/identity.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>

namespace rfork::stub {
namespace {

long write_file(const char* path, const char* text) {
    const long fd = arch::syscall(__NR_open, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    const long written = arch::syscall(__NR_write, fd, text, length(text));
    arch::syscall(__NR_close, fd);
    return written < 0 ? written : 0;
}

// "ID ID 1": the one line that may be written without rights over the namespace above.
long map_to_itself(const char* path, std::uint64_t id) {
    char line[64];
    Text(line, sizeof line) << id << " " << id << " 1\n";
    return write_file(path, line);
}

} // namespace

long enter_user_namespace(Stub& stub, std::uint64_t others) {
    const auto uid = std::uint64_t(arch::syscall(__NR_geteuid));
    const auto gid = std::uint64_t(arch::syscall(__NR_getegid));
    if (long r = arch::syscall(__NR_unshare, CLONE_NEWUSER | others); r < 0)
        return r;
    stub.borrowed_rights = true;
    write_file("/proc/self/setgroups", "deny"); // or the next would be refused
    long r = map_to_itself("/proc/self/gid_map", gid);
    if (r == 0)
        r = map_to_itself("/proc/self/uid_map", uid);
    return r;
}

long enter_pid_namespace(Stub& stub) {
    const long r = arch::syscall(__NR_unshare, CLONE_NEWPID);
    return r == -EPERM ? enter_user_namespace(stub, CLONE_NEWPID) : r;
}

// Mounts made below /proc must not travel to where this mount namespace came from; all others go on
// doing so, or not. A user may mount a proc only where there is one already that hides nothing; in
// some containers he cannot, and the old one stays.
void mount_proc() {
    static constexpr char proc[] = "/proc";
    constexpr unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (arch::syscall(__NR_unshare, CLONE_NEWNS) < 0 ||
        arch::syscall(__NR_mount, nullptr, proc, nullptr, MS_SLAVE, nullptr) < 0)
        return;
    if (arch::syscall(__NR_mount, "proc", proc, "proc", flags, nullptr) < 0)
        arch::syscall(__NR_mount, "proc", proc, "proc", flags | MS_RDONLY, nullptr);
}

} // namespace rfork::stub
