#include "rexecd/spool_check.h"

#include "base/result.h"
#include "base/unique_fd.h"
#include "rexecd/log.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rexecd {

namespace {

using namespace rfork;

void warn_of_mount(int spool, const std::string& path) {
    struct statvfs file_system;
    if (::fstatvfs(spool, &file_system) != 0)
        return;
    if (file_system.f_flag & ST_NOEXEC)
        log(Level::warning,
            "the spool " + path + " is mounted noexec, so no image can run: mount it with exec");
    if (file_system.f_flag & ST_RDONLY)
        log(Level::warning,
            "the spool " + path + " is mounted read-only, so no image can run: mount it writable");
}

// We serve all users, of whom each makes a directory in the spool. Its group or an ACL (which shows
// in the group's bits) may be what lets them, and the owner may be the only one who is meant to.
std::string users_trouble(const struct stat& status, const std::string& path, bool allow_root) {
    bool roots_alone = status.st_uid == 0 && !(status.st_mode & (S_IWGRP | S_IWOTH));
    if (roots_alone && !allow_root)
        return "only root may make directories in the spool " + path +
               ", and root's images are not run: chmod 1777 it, so that users can make theirs";
    if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
        log(Level::warning,
            "everybody can remove everybody's files from the spool " + path + ": chmod 1777 it");
    return {};
}

std::string own_trouble(const std::string& path) {
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0 || errno == EROFS)
        return {};
    return system_error(errno, "cannot make directories in the spool " + path,
                        "have its owner chmod 1777 it, or use one of your own")
        .sentence;
}

} // namespace

std::string check_spool(const std::string& path, bool allow_root) {
    UniqueFd spool(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat status;
    if (!spool || ::fstat(spool.get(), &status) != 0)
        return system_error(errno, "cannot use the spool " + path,
                            "it must be a directory that the hosts share")
            .sentence;
    warn_of_mount(spool.get(), path);
    return ::geteuid() == 0 ? users_trouble(status, path, allow_root) : own_trouble(path);
}

} // namespace rexecd
