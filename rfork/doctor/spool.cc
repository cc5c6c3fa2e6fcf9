#include "doctor/looks.h"

#include "base/printable.h"
#include "base/proc.h"
#include "doctor/own_directory.h"
#include "remote/spool.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

struct Mount {
    std::string type, source, options;
};

// A line of /proc/self/mountinfo, whose first field is the mount's number:
// "36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue".
Mount mount_of(const std::string& path) {
    struct statx status {};
    ::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &status);
    const std::string number = std::to_string(status.stx_mnt_id) + " ";
    std::istringstream text(text_of("/proc/self/mountinfo"));
    for (std::string line; std::getline(text, line);) {
        const std::size_t behind = line.find(" - ");
        if (!line.starts_with(number) || behind == std::string::npos)
            continue;
        Mount mount;
        std::istringstream fields(line.substr(behind + 3));
        fields >> mount.type >> mount.source >> mount.options;
        return mount;
    }
    return {};
}

// What stands behind "name=", or the name itself if nothing does; "" if it is not among them.
std::string option(const std::string& options, const std::string& name) {
    std::istringstream text(options);
    for (std::string one; std::getline(text, one, ',');) {
        if (one == name)
            return name;
        if (one.starts_with(name + "="))
            return one.substr(name.size() + 1);
    }
    return {};
}

bool is_local(const std::string& type) {
    for (const char* local : {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay",
                              "ramfs", "reiserfs", "tmpfs", "vfat", "xfs", "zfs"})
        if (type == local)
            return true;
    return false;
}

Finding look_at_mount(const std::string& spool) {
    struct statvfs fs {};
    if (::statvfs(spool.c_str(), &fs) != 0)
        return problem(system_error(errno, "cannot examine the spool"));
    const Mount mount = mount_of(spool);
    const std::string found =
        (mount.type.empty() ? "unknown" : mount.type + ", " + printable(mount.source));
    if (fs.f_flag & ST_NOEXEC)
        return problem(found + ", mounted noexec, and images are executables",
                       "mount it with exec");
    if (fs.f_flag & ST_RDONLY)
        return problem(found + ", mounted read-only", "mount it writable");
    if (is_local(mount.type))
        return warning(found + ", which no other host sees",
                       "for other hosts, use a directory on NFS or another shared file system");
    if (!mount.type.starts_with("nfs"))
        return ok(found);
    if (!option(mount.options, "soft").empty())
        return warning(found + ", mounted soft: an answer that comes late is an error, and the "
                               "program it was for may end by it",
                       "mount it hard");
    const std::string cache = option(mount.options, "lookupcache");
    return ok(found + ", lookupcache=" + (cache.empty() ? "all" : cache));
}

// A file that can be executed, which is not told by its mode alone.
Result<void> try_executable(const remote::UserDirectory& directory) {
    const std::string name = remote::temporary_name(remote::new_id());
    const int at = directory.fd.get();
    const UniqueFd file(::openat(at, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
    if (!file)
        return system_error(errno, "cannot write in your directory of the spool",
                            "see its mode, your quota, and the room that is left");
    const int error = ::faccessat(at, name.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
    ::unlinkat(at, name.c_str(), 0);
    if (error)
        return system_error(error,
                            "what is written in your directory of the spool cannot be "
                            "executed",
                            "mount the spool with exec");
    return {};
}

Finding look_at_own_directory(const std::string& spool) {
    const Result<OwnDirectory> directory = OwnDirectory::in(spool);
    if (!directory)
        return problem(directory.error());
    if (const Result<void> tried = try_executable(**directory); !tried)
        return problem(tried.error());
    return ok(directory->is_new() ? "can be made when it is first used" : (*directory)->name);
}

} // namespace

void look_at_spool(bool needed, const Tell& tell) {
    const char* variable = std::getenv("RFORK_SPOOL");
    if (!variable || !*variable) {
        tell("spool", {needed ? State::problem : State::warning,
                       "RFORK_SPOOL is not set: nothing can be sent to another host",
                       "set it to the directory that all hosts share"});
        return;
    }
    const std::string spool = variable;
    struct stat status {};
    if (::stat(spool.c_str(), &status) != 0) {
        tell("spool", problem(printable(spool) + ": " + std::string(errno_text(errno)),
                              "RFORK_SPOOL must be a directory that all hosts share"));
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        tell("spool", problem(printable(spool) + " is no directory",
                              "RFORK_SPOOL must be a directory that all hosts share"));
        return;
    }
    tell("spool", spool.starts_with('/')
                      ? ok(printable(spool))
                      : warning(printable(spool) + " is relative, and means another directory "
                                                   "wherever a program is",
                                "set RFORK_SPOOL to an absolute path"));
    tell("spool-mount", look_at_mount(spool));
    tell("spool-directory", look_at_own_directory(spool));
}

} // namespace rfork::tool
