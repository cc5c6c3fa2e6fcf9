#include "rexecd/identity.h"

#include "base/proc.h"

#include <algorithm>
#include <cerrno>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rexecd {

namespace {

using rfork::Error;
using rfork::Result;

std::string user_text(uid_t uid) {
    return "the user with the number " + std::to_string(uid);
}

// NGROUPS_MAX is 65536, so getgrouplist(3) is content at last.
std::vector<gid_t> groups_of(const passwd& user) {
    std::vector<gid_t> groups(32);
    int count = static_cast<int>(groups.size());
    while (::getgrouplist(user.pw_name, user.pw_gid, groups.data(), &count) < 0) {
        groups.resize(groups.size() * 2);
        count = static_cast<int>(groups.size());
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

Result<void> verify(const Identity& identity) {
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    bool dropped = ::getresuid(&real, &effective, &saved) == 0 &&
                   ::getresgid(&real_group, &effective_group, &saved_group) == 0 &&
                   real == identity.uid && effective == identity.uid && saved == identity.uid &&
                   real_group == identity.gid && effective_group == identity.gid &&
                   saved_group == identity.gid;
    if (!dropped || ::setuid(0) == 0)
        return Error{EPERM, "cannot become " + identity.name + ": root's rights would remain"};
    return {};
}

// The kernel takes all other capabilities from whoever ceases to be root.
bool drop_inheritable_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (::syscall(SYS_capget, &header, sets) != 0)
        return false;
    for (__user_cap_data_struct& set : sets)
        set.inheritable = 0;
    return ::syscall(SYS_capset, &header, sets) == 0;
}

// Whoever started rexecd may have keys in the session's keyring (keyrings(7)); a kernel without
// keyrings has none to leave.
void leave_session_keyring() {
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
}

} // namespace

uid_t user_here(uid_t user, uid_t outer_user) {
    // The map of our user namespace does not change while we live.
    static const std::vector<rfork::UserRange> ranges = rfork::known_users();
    const bool known =
        std::any_of(ranges.begin(), ranges.end(), [&](const rfork::UserRange& range) {
            return outer_user >= range.inside && outer_user - range.inside < range.count;
        });
    return known || ranges.empty() ? outer_user : user;
}

Result<Identity> identity_of(uid_t owner, bool allow_root) {
    const bool is_our_own = owner == ::geteuid();
    if (!is_our_own && ::geteuid() != 0)
        return Error{EPERM, "the request is for " + user_text(owner) + ", and rexecd runs as " +
                                std::to_string(::geteuid()) +
                                ": only a rexecd of root's serves other users"};
    if (owner == 0 && !allow_root)
        return Error{EPERM, "the request is for root: rexecd runs no image of root's unless it is "
                            "started with --allow-root"};

    if (is_our_own)
        return Identity{owner, ::getegid(), {}, std::to_string(owner), true};

    errno = 0;
    const passwd* user = ::getpwuid(owner);
    if (!user)
        return Error{EPERM, user_text(owner) + ", whose the image is, is unknown here" +
                                (errno ? ": " + std::string(rfork::errno_text(errno)) : "") +
                                ": the hosts must share their user numbers"};
    return Identity{owner, user->pw_gid, groups_of(*user), user->pw_name, false};
}

Result<void> become(const Identity& identity) {
    if (identity.is_our_own)
        return {};
    if (::setgroups(identity.groups.size(), identity.groups.data()) != 0 ||
        ::setresgid(identity.gid, identity.gid, identity.gid) != 0 ||
        ::setresuid(identity.uid, identity.uid, identity.uid) != 0 ||
        !drop_inheritable_capabilities())
        return rfork::system_error(errno, "cannot become " + identity.name);
    leave_session_keyring();
    return verify(identity);
}

} // namespace rexecd
