// Looking up one entry of the spool, and nothing but that: never beyond the spool's directory,
// never through a symbolic link, whatever the name in a datagram is.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <string>
#include <sys/stat.h>

namespace rexecd {

// For openat(2) and its kin; needs no right to read the directory.
rfork::Result<rfork::UniqueFd> open_spool(const std::string& path);

struct Entry {
    rfork::UniqueFd fd;
    struct stat status {};
};

// With O_PATH among the flags the entry itself is not opened, only found.
rfork::Result<Entry> open_entry(int spool, const std::string& name, int flags);

// A regular file with one link, that nobody but its owner can write: not a hard link to somebody
// else's program, nor a file that a third person fills.
rfork::Result<void> check_entry(const struct stat& status, const std::string& name);

// Reads the whole directory: an NFS client that has once seen a name missing goes on saying so from
// its cache, and this makes it ask the server.
void refresh_listing(int spool);

} // namespace rexecd
