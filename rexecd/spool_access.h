// Names in the spool, looked up as the user to whom they belong, and never followed out of it.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>
#include <sys/stat.h>

namespace rexecd {

rfork::Result<rfork::UniqueFd> open_spool(const std::string& path);

// A user's directory in it, which must belong to who we are now, and to nobody else. ENOENT if it
// cannot be seen.
rfork::Result<rfork::UniqueFd> open_user_directory(int spool, const std::string& name);

struct Entry {
    rfork::UniqueFd fd;
    struct stat status {};
};

// Neither follows links nor waits for a FIFO.
rfork::Result<Entry> open_entry(int directory, const std::string& name, int flags);

// A regular file of our own that nobody else can write.
rfork::Result<void> check_entry(const struct stat& status, const std::string& name);

} // namespace rexecd
