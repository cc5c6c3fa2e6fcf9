#include "remote/user_directory.h"

#include "base/directory_names.h"
#include "base/proc.h"
#include "format/ticket.h"
#include "remote/spool.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <optional>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::remote {

namespace {

constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// A user namespace may call a user by another number than other hosts do. Its map names the
// number in the namespace around it, which is as far as a process can see.
uid_t outer_number(uid_t user) {
    for (const UserRange& range : known_users())
        if (user >= range.inside && user - range.inside < range.count)
            return range.outside + (user - range.inside);
    return user;
}

Result<std::string> absolute(const std::string& path) {
    if (path.starts_with('/'))
        return path;
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here))
        return system_error(errno,
                            "cannot find the working directory, from which RFORK_SPOOL '" + path +
                                "' begins",
                            "set it to an absolute path");
    return std::string(here) + "/" + path;
}

Result<UniqueFd> open_spool(const std::string& spool) {
    const std::string what = "the spool directory '" + spool + "'";
    UniqueFd fd(open(spool.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot open " + what,
                            "RFORK_SPOOL must be a directory that all hosts share");
    struct statvfs fs;
    if (fstatvfs(fd.get(), &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return Error{EACCES, what + " is on a file system mounted noexec, and images are "
                                    "executables: mount it with exec"};
    return fd;
}

// Not across a mount point: a neighbour may have mounted something (FUSE) that never answers.
UniqueFd open_within(int spool, const std::string& name, int flags) {
    open_how how{};
    how.flags = unsigned(flags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV;
    UniqueFd fd(int(syscall(SYS_openat2, spool, name.c_str(), &how, sizeof how)));
    if (!fd && errno == ENOSYS) // says a sandbox that does not know the call
        fd.reset(openat(spool, name.c_str(), flags));
    return fd;
}

bool says_not_ours(int error) {
    switch (error) {
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENOENT:
    case ENOTDIR:
    case ESTALE:
    case EXDEV:
        return true;
    }
    return false;
}

// Only what looks like ours is opened for reading, and one that cannot be is not ours: in a user
// namespace all strangers have the number of nobody, and so has nobody. No descriptor: not ours.
Result<UniqueFd> open_private(int spool, const std::string& name, uid_t user) {
    struct stat status;
    UniqueFd fd = open_within(spool, name, directory_flags | O_PATH);
    if (fd && (fstat(fd.get(), &status) != 0 || !is_private_directory(status, user)))
        return UniqueFd();
    if (fd)
        fd.reset(openat(fd.get(), ".", directory_flags));
    if (!fd && !says_not_ours(errno))
        return system_error(errno, "cannot open " + name + " in the spool");
    return fd;
}

struct Found {
    std::string name; // empty: none
    UniqueFd fd;
};

// The first by name: two first calls at the same moment may have made two.
template <class Candidate>
Result<Found> find_first(int spool, uid_t user, Candidate is_candidate) {
    Found best;
    std::optional<Error> failed;
    for_each_name(spool, [&](std::string_view each) {
        const std::string name(each);
        const std::optional<uid_t> named = user_of_directory(name);
        if (failed || !named || !is_candidate(*named) || (!best.name.empty() && name > best.name))
            return;
        Result<UniqueFd> opened = open_private(spool, name, user);
        if (!opened)
            failed = opened.error();
        else if (*opened)
            best = {name, std::move(*opened)};
    });
    if (failed)
        return *failed;
    return best;
}

// By the names first, since there may be very many of others; a host without our user namespace may
// have called us differently.
Result<Found> find(int spool, uid_t user, uid_t outer_user) {
    Result<Found> best = find_first(spool, user, [&](uid_t named) { return named == outer_user; });
    if (best && best->name.empty())
        best = find_first(spool, user, [&](uid_t named) { return named != outer_user; });
    return best;
}

// Whatever a umask or a default ACL has made of its mode.
void allow_owner(int spool, const std::string& name, uid_t user) {
    struct stat status;
    const UniqueFd fd = open_within(spool, name, directory_flags | O_PATH);
    if (fd && fstat(fd.get(), &status) == 0 && status.st_uid == user &&
        (status.st_mode & 0777) != 0700)
        chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), 0700);
}

// What mkdir(2) answers is not believed: an NFS client that asks twice hears EEXIST of its own
// work.
Result<Found> make(int spool, const std::string& path, uid_t user, uid_t outer_user) {
    const std::string name = user_directory_name(outer_user, new_id());
    const int error = mkdirat(spool, name.c_str(), 0700) == 0 ? 0 : errno;
    allow_owner(spool, name, user);
    struct stat status;
    if (fstatat(spool, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return system_error(error ? error : errno,
                            "cannot make a directory of your own in the spool '" + path + "'",
                            error == EROFS    ? "it must be writable"
                            : error == EACCES ? "it must be writable for you (mode 1777)"
                                              : "see that the file system is in order");
    if (!is_private_directory(status, user)) {
        unlinkat(spool, name.c_str(), AT_REMOVEDIR);
        return Error{EPERM, "the spool '" + path +
                                "' does not keep a directory for its owner alone (it belongs to "
                                "user " +
                                std::to_string(status.st_uid) +
                                (user == 0 ? ": root is squashed there: be an ordinary user"
                                           : ": use a file system that keeps owners and modes")};
    }
    Result<UniqueFd> opened = open_private(spool, name, user);
    if (!opened)
        return opened.error();
    if (!*opened)
        return Error{EPERM, path + "/" + name + " was replaced while it was made: try again"};
    return Found{name, std::move(*opened)};
}

Result<Found> nobody_makes_one(int, const std::string&, uid_t, uid_t) {
    return Found();
}

// `otherwise` answers what there is to find if there was nothing.
template <class Otherwise>
Result<std::optional<UserDirectory>> look_for(const std::string& spool, Otherwise otherwise) {
    Result<std::string> path = absolute(spool);
    if (!path)
        return path.error();
    const Result<UniqueFd> all = open_spool(*path);
    if (!all)
        return all.error();

    const uid_t user = geteuid();
    UserDirectory directory;
    directory.user = user;
    directory.outer_user = outer_number(user);
    Result<Found> found = find(all->get(), user, directory.outer_user);
    if (found && found->name.empty())
        found = otherwise(all->get(), *path, user, directory.outer_user);
    if (!found)
        return found.error();
    if (found->name.empty())
        return std::optional<UserDirectory>();
    directory.name = std::move(found->name);
    directory.fd = std::move(found->fd);
    directory.path = *path + "/" + directory.name;
    if (directory.path.size() > image::max_directory)
        return Error{ENAMETOOLONG,
                     "the path of the spool '" + *path +
                         "' is too long: mount it, on all hosts, where it is shorter"};
    return std::optional(std::move(directory));
}

} // namespace

bool is_private_directory(const struct stat& status, uid_t owner) {
    return S_ISDIR(status.st_mode) && status.st_uid == owner && !(status.st_mode & 077);
}

int OpenDirectory::get() {
    if (!fd_.is_there())
        fd_.reset(open(path_.c_str(), directory_flags));
    return fd_.get();
}

Result<std::optional<UserDirectory>> find_user_directory(const std::string& spool) {
    return look_for(spool, nobody_makes_one);
}

Result<UserDirectory> find_or_make_user_directory(const std::string& spool) {
    Result<std::optional<UserDirectory>> directory = look_for(spool, make);
    if (!directory)
        return directory.error();
    return std::move(**directory);
}

} // namespace rfork::remote
