#include "traced/admission.h"

#include "base/directory_names.h"
#include "base/elf_object.h"
#include "base/proc.h"
#include "base/unique_fd.h"
#include "process/tracer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace rfork::capture {
namespace {

std::string directory_of(pid_t pid) {
    return "/proc/" + std::to_string(pid);
}

Error refused(pid_t pid, const std::string& why) {
    return {ENOTSUP, label_of(pid) + " cannot be frozen: " + why};
}

// Real, effective, saved, file system.
std::array<unsigned long, 4> ids(const std::string& status, const char* name) {
    std::array<unsigned long, 4> all{};
    std::istringstream text(field(status, name));
    for (unsigned long& id : all)
        text >> id;
    return all;
}

bool are(const std::array<unsigned long, 4>& all, unsigned long id) {
    return std::all_of(all.begin(), all.end(), [id](unsigned long other) { return other == id; });
}

std::string namespace_of(const std::string& directory, const char* name) {
    char link[64];
    const ssize_t got = readlink((directory + "/ns/" + name).c_str(), link, sizeof link);
    return got > 0 ? std::string(link, std::size_t(got)) : std::string();
}

// Device and inode.
std::pair<dev_t, ino_t> executable_of(const std::string& directory) {
    struct stat st {};
    stat((directory + "/exe").c_str(), &st);
    return {st.st_dev, st.st_ino};
}

bool is_kernel_thread(const std::string& stat) {
    constexpr unsigned long kernel_thread = 0x00200000; // PF_KTHREAD
    std::istringstream fields(fields_in_stat(stat));
    std::string skipped;
    unsigned long flags = 0; // field 9
    for (int i = 3; i < 9; ++i)
        fields >> skipped;
    fields >> flags;
    return flags & kernel_thread;
}

Result<void> check_user(pid_t pid, const std::string& status) {
    const std::array<unsigned long, 4> users = ids(status, "Uid"), groups = ids(status, "Gid");
    if (users[0] != users[1] || users[0] != users[2] || groups[0] != groups[1] ||
        groups[0] != groups[2])
        return refused(pid, "it runs with other rights than its user's (set-user-ID or "
                            "set-group-ID), which an image cannot carry");
    if (!are(users, geteuid()))
        return Error{EPERM, label_of(pid) + " belongs to user " + std::to_string(users[0]) +
                                ", and rfork runs as user " + std::to_string(geteuid()) +
                                ": run rfork as the user of the process"};
    if (!are(groups, getegid()) && geteuid() != 0)
        return Error{EPERM, label_of(pid) + " runs as group " + std::to_string(groups[0]) +
                                ", and rfork as group " + std::to_string(getegid()) +
                                ": run rfork as the group of the process (newgrp(1))"};
    return {};
}

Result<void> check_filters(pid_t pid, const std::string& status) {
    const std::string own = filters_in(text_of("/proc/self/status"));
    const std::string mode = field(status, "Seccomp");
    if (mode.empty() || mode == "0" || filters_in(status) == own)
        return {};
    return refused(pid, "its system calls are filtered (seccomp), and what it would be made to ask "
                        "the kernel might be its end. In a container, where all are filtered, "
                        "run rfork inside");
}

// The class of its executable's code.
bool is_64_bits(const std::string& directory) {
    const UniqueFd exe(open((directory + "/exe").c_str(), O_RDONLY | O_CLOEXEC));
    unsigned char ident[EI_NIDENT] = {};
    return !exe || pread(exe.get(), ident, sizeof ident, 0) != sizeof ident ||
           ident[EI_CLASS] == ELFCLASS64;
}

// What stands for a main thread that has ended.
std::string of_living_thread(const std::string& directory) {
    const UniqueFd tasks(open((directory + "/task").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::string living;
    for_each_name(tasks.get(), [&](std::string_view name) {
        const std::string task = directory + "/task/" + std::string(name);
        const std::string fields = fields_in_stat(text_of(task + "/stat"));
        if (name[0] != '.' && living.empty() && !fields.empty() && fields[0] != 'Z' &&
            fields[0] != 'X')
            living = task;
    });
    return living;
}

std::string yama_scope() {
    const std::string text = text_of("/proc/sys/kernel/yama/ptrace_scope");
    return text.substr(0, text.find('\n'));
}

} // namespace

pid_t program_behind(pid_t pid) {
    const std::string directory = directory_of(pid);
    std::string title = text_of(directory + "/cmdline");
    title = title.c_str();
    const std::size_t at = title.rfind('(');
    if (text_of(directory + "/comm") != "rfork\n" || !title.starts_with("rfork: ") ||
        at == std::string::npos)
        return pid;
    const auto program = pid_t(std::atoi(title.c_str() + at + 1));
    const std::size_t levels = ids_in(text_of(directory + "/status")).size();
    std::istringstream children(text_of(directory + "/task/" + std::to_string(pid) + "/children"));
    for (pid_t child; children >> child;)
        if (id_at_level(levels, text_of(directory_of(child) + "/status")) == program &&
            executable_of(directory_of(child)) == executable_of(directory))
            return child;
    return pid;
}

std::string label_of(pid_t pid) {
    const std::string comm = text_of(directory_of(pid) + "/comm");
    return "process " + std::to_string(pid) +
           (comm.empty() ? "" : " (" + comm.substr(0, comm.size() - 1) + ")");
}

Result<Admitted> admit(pid_t pid) {
    if (!proc_has_own_pids())
        return Error{ENOTSUP, "/proc shows the processes of another pid namespace, so that a pid "
                              "says nothing: mount the /proc of this one"};
    pid = program_behind(pid);
    Admitted admitted{pid, directory_of(pid), {}};
    const std::string status = text_of(admitted.directory + "/status");
    if (pid <= 0 || status.empty())
        return Error{ESRCH, "there is no process " + std::to_string(pid)};
    admitted.name = field(status, "Name");
    if (field(status, "Tgid") != std::to_string(pid))
        return Error{ESRCH, std::to_string(pid) + " is a thread of process " +
                                field(status, "Tgid") + ": name that"};
    if (pid == getpid())
        return refused(pid, "it is rfork itself");
    if (pid == 1)
        return refused(pid, "it is the first process of the system, without which nobody lives");
    if (is_kernel_thread(text_of(admitted.directory + "/stat")))
        return refused(pid, "it is a thread of the kernel");
    if (field(status, "State")[0] == 'Z') {
        admitted.directory = of_living_thread(admitted.directory);
        if (admitted.directory.empty())
            return refused(pid, "it has ended, and its parent has not waited for it (a zombie)");
    }
    if (Result<void> r = check_user(pid, status); !r)
        return r.error();
    const std::string tracer = field(status, "TracerPid");
    if (tracer != "0")
        return refused(pid, "it is being traced by " + label_of(std::atoi(tracer.c_str())) +
                                " (strace, gdb, another rfork): try again when that has ended");
    if (Result<void> r = check_filters(pid, status); !r)
        return r.error();
    // The copy that is made of it would be the first process there, and nobody could follow it.
    if (namespace_of(admitted.directory, "pid") !=
        namespace_of(admitted.directory, "pid_for_children"))
        return refused(pid, "its children live in another pid namespace than itself "
                            "(unshare(2)), which an image cannot carry");
    if (!is_64_bits(admitted.directory))
        return refused(pid, "it is a program of 32 bits, which an image cannot carry");
    return admitted;
}

Error cannot_trace(pid_t pid, int error) {
    if (error == ESRCH)
        return {ESRCH, label_of(pid) + " has ended"};
    const std::string mine = namespace_of("/proc/self", "user");
    const std::string its = namespace_of(directory_of(pid), "user");
    const std::string scope = yama_scope();
    std::string why = "the kernel does not let rfork trace it (ptrace(2)): ";
    if (its.empty() || its != mine)
        why += "it may live in a user namespace that this user does not own, or have rights that "
               "rfork has not, or have been made undumpable (PR_SET_DUMPABLE)";
    else if (scope == "1")
        why += "kernel.yama.ptrace_scope is 1, which allows a process to trace its descendants "
               "only: start the program by rfork run, or set it to 0";
    else if (scope == "2" || scope == "3")
        why += "kernel.yama.ptrace_scope is " + scope +
               ", which allows nobody without rights: start the program by rfork run --preload";
    else
        why += "it has rights that rfork has not, or it has been made undumpable "
               "(PR_SET_DUMPABLE), or a security module forbids it";
    return {EPERM, label_of(pid) + " cannot be frozen: " + why};
}

} // namespace rfork::capture
