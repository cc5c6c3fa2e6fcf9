#include "rexecd/spool_access.h"

#include "remote/user_directory.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rexecd {

using rfork::Error;
using rfork::Result;
using rfork::UniqueFd;

Result<UniqueFd> open_spool(const std::string& path) {
    UniqueFd spool(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!spool)
        return rfork::system_error(errno, "cannot use the spool " + path,
                                   "mount or make it where --spool says");
    return spool;
}

Result<UniqueFd> open_user_directory(int spool, const std::string& name) {
    Result<Entry> directory = open_entry(spool, name, O_RDONLY | O_DIRECTORY);
    if (!directory)
        return directory.error();
    if (!rfork::remote::is_private_directory(directory->status, ::geteuid()))
        return Error{EPERM, name + " in the spool is not the user's own, or others may enter it: "
                                   "does the file system keep owners?"};
    return std::move(directory->fd);
}

Result<Entry> open_entry(int directory, const std::string& name, int flags) {
    // O_NONBLOCK, which a regular file ignores: opening a FIFO must not wait.
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    // Nor is a mount point entered: what a user has mounted there (FUSE) may never answer.
    how.resolve =
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    Entry entry;
    entry.fd.reset(
        static_cast<int>(::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof(how))));
    if (!entry.fd && errno == EXDEV)
        return Error{EXDEV,
                     name + " in the spool is a mount point, which nobody enters: unmount it"};
    if (!entry.fd)
        return rfork::system_error(errno, "cannot open " + name + " in the spool");
    if (::fstat(entry.fd.get(), &entry.status) != 0)
        return rfork::system_error(errno, "cannot examine " + name + " in the spool");
    return entry;
}

Result<void> check_entry(const struct stat& status, const std::string& name) {
    if (!S_ISREG(status.st_mode))
        return Error{EPERM, name + " in the spool is not a regular file"};
    if (status.st_uid != ::geteuid())
        return Error{EPERM, name + " in the spool belongs to another user"};
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return Error{EPERM, name + " in the spool can be written by others than its owner: "
                                   "chmod 700 it"};
    return {};
}

} // namespace rexecd
