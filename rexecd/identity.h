// Whose process it will be: the owner of the image's inode, with the groups that this host's own
// database gives him. Nothing in a datagram has a say.
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

// Refuses root unless `allow_root`, users whom this host does not know, and, when rexecd is not
// root, everybody but its own user.
rfork::Result<Identity> identity_of(uid_t owner, bool allow_root);

// Takes the identity on for good; afterwards there is no way back.
rfork::Result<void> become(const Identity& identity);

} // namespace rexecd
