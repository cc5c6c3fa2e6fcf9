// Whose process it will be. The number in a request selects who we become; that it is his process
// is then proved by a directory of the spool that is his own. His groups are those of this host's
// own database.
#pragma once

#include "base/result.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace rexecd {

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string name;        // for sentences
    bool is_our_own = false; // the user rexecd runs as, whose rights are left as they are
};

// Which of the two numbers that a request gives is that of a user here: the outer one, unless our
// own user namespace knows no such number; then the caller lives in the same one.
uid_t user_here(uid_t user, uid_t outer_user);

// Refuses root unless `allow_root`, users whom this host does not know, and, when rexecd is not
// root, everybody but its own user.
rfork::Result<Identity> identity_of(uid_t owner, bool allow_root);

// Takes the identity on for good; afterwards there is no way back.
rfork::Result<void> become(const Identity& identity);

} // namespace rexecd
