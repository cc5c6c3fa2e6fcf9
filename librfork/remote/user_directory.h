// A user's own directory in the spool: "u<uid>.<32 digits>", 0700.
//
// What proves it is its owner and its mode, not its name: in a spool like /tmp anybody may make any
// name, so a neighbour who made "u<uid>" first would shut the user out for good. Hence the random
// part; the directory is found again by listing the spool. In it nobody else can make, rename, or
// even see a name.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/watched_fd.h"

#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/types.h>
#include <utility>

namespace rfork::remote {

struct UserDirectory {
    UniqueFd fd;          // O_RDONLY | O_DIRECTORY
    std::string path;     // absolute
    std::string name;     // in the spool
    uid_t user = 0;       // as he is called here, and
    uid_t outer_user = 0; // in the user namespace around ours; the same where there is none
};

// The calling process's own in `spool`, if it has one.
Result<std::optional<UserDirectory>> find_user_directory(const std::string& spool);

// Finds it, or makes one.
Result<UserDirectory> find_or_make_user_directory(const std::string& spool);

// The same later, by path: opened when it is needed, and again when it is not there any more.
class OpenDirectory {
  public:
    explicit OpenDirectory(std::string path) : path_(std::move(path)) {}
    int get();                         // -1, and errno, if it cannot be opened now
    void open_again() { fd_.reset(); } // its server has forgotten it (ESTALE)

  private:
    std::string path_;
    WatchedFd fd_;
};

// Somebody's own, and closed to all others.
bool is_private_directory(const struct stat& status, uid_t owner);

} // namespace rfork::remote
