#include "rexecd/sweep.h"

#include "base/unique_fd.h"
#include "remote/spool.h"
#include "rexecd/child.h"
#include "rexecd/claims.h"
#include "rexecd/identity.h"
#include "rexecd/log.h"
#include "rexecd/spool_access.h"

#include <cerrno>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace rexecd {

namespace {

using namespace rfork;
using remote::EntryKind;

// Names by owner: what one child per owner has to look at.
using Names = std::map<uid_t, std::vector<std::string>>;

// Calls work(spool, names) as every owner in turn; owners we cannot become keep what they have.
template <class Work>
void as_each_owner(const std::string& path, const Names& names, Work work) {
    for (const auto& owner : names)
        wait_for(fork_child(-1, [&](int) {
            Result<Identity> identity = identity_of(owner.first, true);
            if (!identity || !become(*identity))
                return;
            if (Result<UniqueFd> spool = open_spool(path))
                work(spool->get(), owner.second);
        }));
}

bool is_stale(const struct stat& status, long stale_seconds) {
    return ::time(nullptr) - status.st_mtime > stale_seconds;
}

// Our own regular file, not touched for long.
bool is_our_stale(int spool, const std::string& name, long stale_seconds) {
    struct stat status;
    return ::fstatat(spool, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
           is_stale(status, stale_seconds);
}

bool exists(int spool, const std::string& name) {
    struct stat status;
    return ::fstatat(spool, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

bool may_go(int spool, const std::string& name, const std::string& host) {
    switch (remote::kind_of_entry(name)) {
    case EntryKind::temporary:
        return true;
    case EntryKind::image: {
        Result<std::optional<Claim>> claim = read_claim(spool, name);
        return claim && (!*claim || (*claim)->given_up || (*claim)->host == host);
    }
    case EntryKind::claim:
        return !exists(spool, name.substr(0, name.rfind('.')));
    case EntryKind::log:
    case EntryKind::foreign:
        break;
    }
    return false;
}

Names stale_entries(const std::string& path, long stale_seconds) {
    Names names;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR* directory = fd ? ::fdopendir(fd.get()) : nullptr;
    if (!directory) {
        log(Level::warning,
            system_error(errno, "cannot look for stale files in the spool " + path).sentence);
        return names;
    }
    int spool = fd.release(); // closedir() closes it
    while (const dirent* entry = ::readdir(directory)) {
        EntryKind kind = remote::kind_of_entry(entry->d_name);
        if (kind == EntryKind::foreign || kind == EntryKind::log)
            continue;
        struct stat status;
        if (::fstatat(spool, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            is_stale(status, stale_seconds))
            names[status.st_uid].push_back(entry->d_name);
    }
    ::closedir(directory);
    return names;
}

} // namespace

void sweep_spool(const std::string& path, long stale_seconds) {
    const std::string host = host_name();
    as_each_owner(path, stale_entries(path, stale_seconds),
                  [&](int spool, const std::vector<std::string>& names) {
                      for (const std::string& name : names)
                          if (is_our_stale(spool, name, stale_seconds) &&
                              may_go(spool, name, host) && ::unlinkat(spool, name.c_str(), 0) == 0)
                              log(Level::notice,
                                  "removed " + name + ", which was stale, from the spool");
                  });
}

void remove_empty_logs(const std::string& path, const std::vector<EndedLog>& logs) {
    Names names;
    for (const EndedLog& ended : logs)
        names[ended.owner].push_back(remote::log_name(ended.image_name));
    as_each_owner(path, names, [](int spool, const std::vector<std::string>& mine) {
        struct stat status;
        for (const std::string& name : mine)
            if (::fstatat(spool, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(status.st_mode) && status.st_size == 0 && status.st_uid == ::geteuid())
                ::unlinkat(spool, name.c_str(), 0);
    });
}

} // namespace rexecd
