#include "doctor/own_directory.h"

#include <unistd.h>

namespace rfork::tool {

Result<OwnDirectory> OwnDirectory::in(const std::string& spool) {
    Result<std::optional<remote::UserDirectory>> found = remote::find_user_directory(spool);
    if (!found)
        return found.error();
    if (*found)
        return OwnDirectory(std::move(**found), false);
    Result<remote::UserDirectory> made = remote::find_or_make_user_directory(spool);
    if (!made)
        return made.error();
    return OwnDirectory(std::move(*made), true);
}

OwnDirectory::~OwnDirectory() {
    if (is_new_ && directory_.fd)
        ::rmdir(directory_.path.c_str());
}

} // namespace rfork::tool
