// The user's directory in the spool, made if there is none, and removed again if it was made.
#pragma once

#include "remote/user_directory.h"

namespace rfork::tool {

class OwnDirectory {
  public:
    static Result<OwnDirectory> in(const std::string& spool);
    OwnDirectory(OwnDirectory&&) = default;
    ~OwnDirectory();

    const remote::UserDirectory& operator*() const { return directory_; }
    const remote::UserDirectory* operator->() const { return &directory_; }
    bool is_new() const { return is_new_; }

  private:
    OwnDirectory(remote::UserDirectory directory, bool is_new)
        : directory_(std::move(directory)), is_new_(is_new) {}

    remote::UserDirectory directory_;
    bool is_new_;
};

} // namespace rfork::tool
