#include "rexecd/sweep.h"

#include "base/directory_names.h"
#include "base/unique_fd.h"
#include "remote/spool.h"
#include "remote/ticket.h"
#include "rexecd/child.h"
#include "rexecd/host_name.h"
#include "rexecd/identity.h"
#include "rexecd/log.h"
#include "rexecd/program_end.h"
#include "rexecd/program_log.h"
#include "rexecd/spool_access.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace rexecd {

namespace {

using namespace rfork;
using remote::EntryKind;

constexpr long outcome_seconds = 24 * 60 * 60;

// Users' directories by owner, as far as their names and owners tell.
using Directories = std::map<uid_t, std::vector<std::string>>;

Directories directories_in(const std::string& path) {
    Directories directories;
    UniqueFd spool(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!spool) {
        log(Level::warning,
            system_error(errno, "cannot look for stale files in the spool " + path).sentence);
        return directories;
    }
    for_each_name(spool.get(), [&](std::string_view name) {
        struct stat status;
        if (remote::user_of_directory(name) &&
            ::fstatat(spool.get(), std::string(name).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode))
            directories[status.st_uid].emplace_back(name);
    });
    return directories;
}

// Calls work(user) as each of them, in children that work side by side; not as whom we may not or
// cannot become. A child is its user's, who can stop it, and what it looks at may be a file system
// of his that never answers: so none has longer than a while, and none waits for another's.
template <class Users, class Work>
void as_each(const Users& users, bool allow_root, Work work) {
    constexpr std::size_t at_once = 32;
    constexpr int patience_ms = 20'000;
    std::vector<pid_t> children;
    for (auto user = users.begin(); user != users.end();) {
        for (; user != users.end() && children.size() < at_once; ++user)
            children.push_back(fork_child(-1, [&](int) {
                Result<Identity> identity = identity_of(*user, allow_root);
                if (identity && become(*identity))
                    work(*user);
            }));
        end_all(children, patience_ms);
        children.clear();
    }
}

class Sweep {
  public:
    Sweep(int directory, long stale_seconds) : directory_(directory), stale_(stale_seconds) {}

    void run() {
        std::vector<std::string> names;
        for_each_name(directory_, [&](std::string_view name) { names.emplace_back(name); });
        for (const std::string& name : names)
            look_at(name);
    }

  private:
    void look_at(const std::string& name) {
        const remote::Entry entry = remote::parse_entry(name);
        struct stat status;
        if (entry.kind == EntryKind::foreign ||
            ::fstatat(directory_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            return;
        const long age = ::time(nullptr) - status.st_mtime;
        const long since_renamed = ::time(nullptr) - std::max(status.st_mtime, status.st_ctime);
        switch (entry.kind) {
        case EntryKind::temporary:
            return remove(name, age > stale_);
        case EntryKind::ticket:
            if (age > stale_)
                give_up(entry);
            return;
        case EntryKind::given_up:
            return remove(name, since_renamed > std::max(stale_, outcome_seconds));
        case EntryKind::running:
        case EntryKind::acknowledged:
            return remove(name, since_renamed > std::max(stale_, outcome_seconds) &&
                                    entry.host == host_name());
        case EntryKind::foreign:
            return;
        }
    }

    void give_up(const remote::Entry& entry) {
        remote::Met met;
        if (remote::try_give_up(directory_, entry.ticket, false, met) ==
            remote::Outcome::given_up)
            log(Level::notice, "gave up " + std::string(entry.ticket) + ", which was stale");
    }

    void remove(const std::string& name, bool stale) {
        if (stale && ::unlinkat(directory_, name.c_str(), 0) == 0)
            log(Level::notice, "removed " + name + ", which was stale, from the spool");
    }

    int directory_;
    long stale_;
};

Result<UniqueFd> open_directory(const std::string& path, const std::string& name) {
    Result<UniqueFd> spool = open_spool(path);
    if (!spool)
        return spool.error();
    return open_user_directory(spool->get(), name);
}

void remove_image(const std::string& path, const Program& program) {
    if (Result<UniqueFd> directory = open_directory(path, program.directory))
        ::unlinkat(directory->get(), program.acknowledged.c_str(), 0);
}

bool is_empty(const LogFile& log) {
    struct stat status;
    return ::lstat(log.path.c_str(), &status) == 0 && status.st_dev == log.device &&
           status.st_ino == log.inode && status.st_size == 0;
}

void remove_log(const Program& program) {
    if (is_empty(program.log))
        ::unlink(program.log.path.c_str());
}

// A program that ended well and said nothing leaves nothing.
void write_end(const Program& program) {
    if (*program.status == 0 && is_empty(program.log))
        return;
    UniqueFd file(::open(status_file_of(program.log.path).c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                         0600));
    struct stat status;
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != ::geteuid())
        return;
    const std::string line = "process " + std::to_string(program.process) + " on " + host_name() +
                             " ended: " + end_text(*program.status) + "\n";
    [[maybe_unused]] ssize_t written = ::write(file.get(), line.data(), line.size());
}

template <class Work>
void for_each_of(uid_t user, const std::vector<Program>& programs, Work work) {
    for (const Program& program : programs)
        if (program.user == user)
            work(program);
}

} // namespace

void sweep_spool(const std::string& path, long stale_seconds, bool allow_root) {
    const Directories directories = directories_in(path);
    std::set<uid_t> users;
    for (const auto& [user, names] : directories)
        users.insert(user);
    as_each(users, allow_root, [&](uid_t user) {
        for (const std::string& name : directories.at(user))
            if (Result<UniqueFd> directory = open_directory(path, name))
                Sweep(directory->get(), stale_seconds).run();
    });
}

void clean_up(const std::string& path, const Chores& chores, bool allow_root) {
    std::set<uid_t> users;
    for (const auto* programs : {&chores.left.images, &chores.left.logs, &chores.ends})
        for (const Program& program : *programs)
            users.insert(program.user);
    as_each(users, allow_root, [&](uid_t user) {
        for_each_of(user, chores.left.images,
                    [&](const Program& program) { remove_image(path, program); });
        for_each_of(user, chores.ends, write_end);
        for_each_of(user, chores.left.logs, remove_log);
    });
}

} // namespace rexecd
