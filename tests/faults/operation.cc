#include "faults/operation.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace faults {
namespace {

using rfork::UniqueFd;

std::string proc(pid_t process, const std::string& what) {
    return "/proc/" + std::to_string(process) + "/" + what;
}

std::string link_text(const std::string& path) {
    char text[4096];
    const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
    return size < 0 ? std::string() : std::string(text, std::size_t(size));
}

std::size_t read_memory(pid_t process, std::uint64_t address, void* to, std::size_t size) {
    iovec here{to, size}, there{reinterpret_cast<void*>(address), size};
    const ssize_t got = ::process_vm_readv(process, &here, 1, &there, 1, 0);
    return got < 0 ? 0 : std::size_t(got);
}

std::string string_at(pid_t process, std::uint64_t address) {
    std::string text;
    char part[256];
    while (address && text.size() < 4096) {
        // Not past the page's end: what follows may not be there.
        const std::size_t size = std::min<std::size_t>(sizeof part, 4096 - address % 4096);
        const std::size_t got = read_memory(process, address, part, size);
        const std::size_t length = ::strnlen(part, got);
        text.append(part, length);
        if (length < got || got == 0)
            break;
        address += got;
    }
    return text;
}

// The arguments of a call that names files, wherever its kind of call has them.
struct Names {
    int from_directory = AT_FDCWD, to_directory = AT_FDCWD;
    std::uint64_t from = 0, to = 0; // addresses
};

Names names_of(const seccomp_data& data) {
    const __u64* a = data.args;
    const auto fd = [&](int i) { return static_cast<int>(a[i]); };
    switch (data.nr) {
    case SYS_rename:
    case SYS_link:
        return {AT_FDCWD, AT_FDCWD, a[0], a[1]};
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_linkat:
        return {fd(0), fd(2), a[1], a[3]};
    case SYS_open:
    case SYS_creat:
    case SYS_unlink:
    case SYS_rmdir:
    case SYS_mkdir:
    case SYS_stat:
    case SYS_lstat:
    case SYS_execve:
        return {AT_FDCWD, AT_FDCWD, a[0], 0};
    default: // openat, openat2, unlinkat, mkdirat, newfstatat, statx, execveat, faccessat2
        return {fd(0), AT_FDCWD, a[1], 0};
    }
}

int open_flags(const seccomp_notif& notification) {
    const seccomp_data& data = notification.data;
    switch (data.nr) {
    case SYS_open:
        return static_cast<int>(data.args[1]);
    case SYS_creat:
        return O_CREAT | O_WRONLY | O_TRUNC;
    case SYS_openat2: {
        open_how how{};
        read_memory(static_cast<pid_t>(notification.pid), data.args[2], &how, sizeof how);
        return static_cast<int>(how.flags);
    }
    default:
        return static_cast<int>(data.args[2]);
    }
}

mode_t creation_mode(const seccomp_data& data) {
    switch (data.nr) {
    case SYS_creat:
    case SYS_mkdir:
        return static_cast<mode_t>(data.args[1]);
    case SYS_open:
    case SYS_mkdirat:
        return static_cast<mode_t>(data.args[2]);
    case SYS_openat:
        return static_cast<mode_t>(data.args[3]);
    default:
        return 0600;
    }
}

Call call_of(const seccomp_notif& notification) {
    switch (notification.data.nr) {
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
        return Call::rename;
    case SYS_open:
    case SYS_creat:
    case SYS_openat:
    case SYS_openat2:
        return open_flags(notification) & O_CREAT ? Call::create : Call::open;
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_rmdir:
        return Call::unlink;
    case SYS_link:
    case SYS_linkat:
        return Call::link;
    case SYS_mkdir:
    case SYS_mkdirat:
        return Call::mkdir;
    case SYS_write:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_ftruncate:
    case SYS_fallocate:
        return Call::write;
    case SYS_pread64:
        return Call::read;
    case SYS_fsync:
    case SYS_fdatasync:
        return Call::sync;
    case SYS_getdents64:
        return Call::list;
    case SYS_stat:
    case SYS_lstat:
    case SYS_fstat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_faccessat2:
        return Call::stat;
    case SYS_sendto:
    case SYS_sendmsg:
        return Call::send;
    case SYS_execve:
    case SYS_execveat:
        return Call::exec;
    default:
        return Call::other;
    }
}

bool goes_by_descriptor(int number) {
    switch (number) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_pread64:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_getdents64:
    case SYS_fstat:
    case SYS_sendto:
    case SYS_sendmsg:
        return true;
    default:
        return false;
    }
}

std::string descriptor_link(int directory) {
    return directory == AT_FDCWD ? "cwd" : "fd/" + std::to_string(directory);
}

std::string absolute(pid_t process, int directory, std::uint64_t name_at) {
    std::string name = string_at(process, name_at);
    if (name.starts_with('/'))
        return name;
    const std::string base = link_text(proc(process, descriptor_link(directory)));
    return name.empty() ? base : base + "/" + name;
}

UniqueFd directory_of(pid_t process, int directory, const std::string& name) {
    // What is mounted where, another namespace may see differently.
    const std::string path =
        proc(process, name.starts_with('/') ? "root" : descriptor_link(directory));
    return UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

UniqueFd descriptor_of(pid_t process, int number) {
    UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    return UniqueFd(handle ? static_cast<int>(::syscall(SYS_pidfd_getfd, handle.get(), number, 0))
                           : -1);
}

// The last of four is the one that counts for files.
unsigned id_of(pid_t process, const std::string& kind) {
    std::ifstream status(proc(process, "status"));
    for (std::string word; status >> word;)
        if (word == kind) {
            unsigned real = 0, effective = 0, saved = 0, of_files = 0;
            status >> real >> effective >> saved >> of_files;
            return of_files;
        }
    return 0;
}

std::string below(const std::string& name) {
    return name.starts_with('/') ? name.substr(1) : name;
}

} // namespace

Operation describe(const seccomp_notif& notification) {
    const auto process = static_cast<pid_t>(notification.pid);
    const seccomp_data& data = notification.data;
    Operation operation;
    operation.call = call_of(notification);
    if (operation.call == Call::send)
        return operation;
    if (goes_by_descriptor(data.nr)) {
        operation.path = link_text(proc(process, descriptor_link(static_cast<int>(data.args[0]))));
        operation.into_pipe = data.nr == SYS_write && operation.path.starts_with("pipe:");
        if (operation.into_pipe)
            operation.call = Call::tell;
        return operation;
    }
    const Names names = names_of(data);
    operation.path = absolute(process, names.from_directory, names.from);
    if (names.to)
        operation.to = absolute(process, names.to_directory, names.to);
    return operation;
}

Effect::Effect(const seccomp_notif& notification) : number_(notification.data.nr) {
    const auto process = static_cast<pid_t>(notification.pid);
    const seccomp_data& data = notification.data;
    user_ = id_of(process, "Uid:");
    group_ = id_of(process, "Gid:");
    switch (call_of(notification)) {
    case Call::rename:
    case Call::link: {
        const Names names = names_of(data);
        to_name_ = string_at(process, names.to);
        to_ = directory_of(process, names.to_directory, to_name_);
        [[fallthrough]];
    }
    case Call::unlink:
    case Call::mkdir:
    case Call::create: {
        const Names names = names_of(data);
        from_name_ = string_at(process, names.from);
        from_ = directory_of(process, names.from_directory, from_name_);
        mode_ = creation_mode(data);
        if (call_of(notification) == Call::create)
            flags_ = open_flags(notification);
        if (number_ == SYS_unlinkat || number_ == SYS_renameat2)
            flags_ = static_cast<int>(data.args[number_ == SYS_unlinkat ? 2 : 4]);
        break;
    }
    case Call::write:
        from_ = descriptor_of(process, static_cast<int>(data.args[0]));
        if (number_ == SYS_write || number_ == SYS_pwrite64) {
            data_.resize(std::min<std::size_t>(data.args[2], 64 << 20));
            data_.resize(read_memory(process, data.args[1], data_.data(), data_.size()));
        }
        if (number_ == SYS_pwrite64)
            offset_ = static_cast<long>(data.args[3]);
        if (number_ == SYS_ftruncate)
            offset_ = static_cast<long>(data.args[1]);
        break;
    default:
        break;
    }
}

long Effect::take_place() {
    ::setfsgid(group_);
    ::setfsuid(user_);
    const long result = perform();
    ::setfsuid(::geteuid());
    ::setfsgid(::getegid());
    return result;
}

long Effect::perform() {
    auto answer = [](long result) { return result < 0 ? -long(errno) : result; };
    const std::string from = below(from_name_), to = below(to_name_);
    switch (number_) {
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
        return answer(
            ::syscall(SYS_renameat2, from_.get(), from.c_str(), to_.get(), to.c_str(), flags_));
    case SYS_link:
    case SYS_linkat:
        return answer(::linkat(from_.get(), from.c_str(), to_.get(), to.c_str(), 0));
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_rmdir:
        return answer(
            ::unlinkat(from_.get(), from.c_str(), number_ == SYS_rmdir ? AT_REMOVEDIR : flags_));
    case SYS_mkdir:
    case SYS_mkdirat:
        return answer(::mkdirat(from_.get(), from.c_str(), mode_));
    case SYS_open:
    case SYS_creat:
    case SYS_openat:
    case SYS_openat2: {
        if (!(flags_ & O_CREAT))
            return 0;
        UniqueFd made(::openat(from_.get(), from.c_str(), flags_ | O_CLOEXEC, mode_));
        return made ? 0 : -long(errno);
    }
    case SYS_write:
        return answer(::write(from_.get(), data_.data(), data_.size()));
    case SYS_pwrite64:
        return answer(::pwrite(from_.get(), data_.data(), data_.size(), offset_));
    case SYS_ftruncate:
        return answer(::ftruncate(from_.get(), offset_));
    default:
        return 0;
    }
}

std::string executable_of(pid_t process) {
    return link_text(proc(process, "exe"));
}

} // namespace faults
