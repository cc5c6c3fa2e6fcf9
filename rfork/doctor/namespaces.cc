// What the stub does to keep a program's pid, tids and clocks (stub/identity.cc), in small.
#include "doctor/looks.h"

#include "base/proc.h"
#include "base/unique_fd.h"
#include "doctor/attempt.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

int write_file(const char* path, const std::string& text) {
    const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    return fd ? error_of(::write(fd.get(), text.data(), text.size())) : errno;
}

std::string map_to_itself(unsigned id) {
    return std::to_string(id) + " " + std::to_string(id) + " 1\n";
}

int enter_user_namespace(int others) {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (::unshare(CLONE_NEWUSER | others) < 0)
        return errno;
    write_file("/proc/self/setgroups", "deny");
    if (const int error = write_file("/proc/self/gid_map", map_to_itself(group)))
        return error;
    return write_file("/proc/self/uid_map", map_to_itself(user));
}

// By right where there is one; else in a user namespace.
int enter(int namespaces) {
    const int error = error_of(::unshare(namespaces));
    return error == EPERM ? enter_user_namespace(namespaces) : error;
}

int has_rights_in_user_namespace() {
    const int error = enter_user_namespace(0);
    return error ? error : error_of(::unshare(CLONE_NEWPID));
}

int get_a_chosen_pid() {
    constexpr std::int32_t chosen = 300;
    if (const int error = enter(CLONE_NEWPID))
        return error;
    const IdleChild init;
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    arguments.set_tid = reinterpret_cast<std::uint64_t>(&chosen);
    arguments.set_tid_size = 1;
    const long child = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0)
        ::_exit(::syscall(SYS_getpid) == chosen ? 0 : EINVAL);
    if (child < 0)
        return errno;
    int status = 0;
    ::waitpid(static_cast<pid_t>(child), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

std::time_t monotonic_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

int set_the_clocks() {
    constexpr std::time_t ahead = 100000;
    const std::time_t before = monotonic_seconds();
    if (const int error = enter(CLONE_NEWTIME))
        return error;
    if (const int error =
            write_file("/proc/self/timens_offsets", "monotonic " + std::to_string(ahead) + " 0\n"))
        return error;
    const UniqueFd children(::open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC));
    if (!children || ::setns(children.get(), CLONE_NEWTIME) < 0)
        return errno;
    return monotonic_seconds() - before >= ahead ? 0 : ENOTSUP;
}

int mount_proc() {
    constexpr unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/proc", nullptr, MS_SLAVE, nullptr) < 0)
        return errno;
    if (::mount("proc", "/proc", "proc", flags, nullptr) == 0)
        return 0;
    return error_of(::mount("proc", "/proc", "proc", flags | MS_RDONLY, nullptr));
}

int mount_own_proc() {
    if (const int error = enter(CLONE_NEWPID))
        return error;
    return try_in_child(mount_proc);
}

bool is_set_to(const char* path, char value) {
    return text_of(path).starts_with(value);
}

bool may_choose_pids() {
    constexpr unsigned cap_sys_admin = 21, cap_checkpoint_restore = 40;
    const std::string set = field(text_of("/proc/self/status"), "CapEff");
    const std::uint64_t capabilities = std::strtoull(set.c_str(), nullptr, 16);
    return capabilities >> cap_sys_admin & 1 || capabilities >> cap_checkpoint_restore & 1;
}

struct Cause {
    std::string what, remedy;
};

Cause of(int error) {
    if (is_set_to("/proc/sys/user/max_user_namespaces", '0'))
        return {"user.max_user_namespaces is 0", "sysctl user.max_user_namespaces=10000"};
    if (is_set_to("/proc/sys/kernel/unprivileged_userns_clone", '0'))
        return {"kernel.unprivileged_userns_clone is 0",
                "sysctl kernel.unprivileged_userns_clone=1"};
    if (is_set_to("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
        return {"AppArmor gives users no rights in them",
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile "
                "that allows userns to the images"};
    return {std::string(errno_text(error)),
            "allow them: the seccomp profile of a container and a chroot forbid them"};
}

} // namespace

Finding look_at_user_namespaces() {
    const int error = try_in_child(has_rights_in_user_namespace);
    if (error == 0)
        return ok("can be made, and give rights");
    const Cause cause = of(error);
    if (may_choose_pids())
        return ok("forbidden or without rights (" + cause.what + "), and not needed by this user");
    return warning("forbidden or without rights: " + cause.what, cause.remedy);
}

Finding look_at_pids() {
    const int error = try_in_child(get_a_chosen_pid);
    if (error == 0)
        return ok(may_choose_pids() ? "kept, with the tids: by right"
                                    : "kept, with the tids: in namespaces of the program's own");
    const Cause cause = of(error);
    return problem("pids and tids cannot be kept: checkpoints, and images with several threads, do "
                   "not run here: " +
                       cause.what,
                   cause.remedy + "; or start images with RFORK_PID=new, if their programs do not "
                                  "remember their pid");
}

Finding look_at_clocks() {
    if (::access("/proc/self/timens_offsets", F_OK) != 0)
        return warning("monotonic clocks of programs jump: this kernel has no time namespaces",
                       "use a kernel with CONFIG_TIME_NS");
    const int error = try_in_child(set_the_clocks);
    if (error == 0)
        return ok("monotonic clocks go on where they were frozen");
    const Cause cause = of(error);
    return warning("monotonic clocks of programs jump: no time namespace can be made: " +
                       cause.what,
                   cause.remedy);
}

Finding look_at_proc() {
    if (const int error = try_in_child([] { return enter(CLONE_NEWPID); })) {
        const Cause cause = of(error);
        return warning("a program can have no /proc of its own: " + cause.what, cause.remedy);
    }
    const int error = try_in_child(mount_own_proc);
    if (error == 0)
        return ok("a program in a pid namespace has a /proc with its own numbers");
    return warning("a program that keeps its pid in a namespace has other numbers in /proc, where "
                   "none may be mounted: " +
                       std::string(errno_text(error)),
                   "see that nothing is mounted over parts of /proc, as in some containers");
}

} // namespace rfork::tool
