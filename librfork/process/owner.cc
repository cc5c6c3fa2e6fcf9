#include "process/owner.h"

#include <sys/stat.h>

namespace rfork::kinds {

Owner owner_of(const struct stat& st, std::uint32_t user) {
    if (st.st_uid == user)
        return {st.st_uid, Ownership::own};
    return {st.st_uid, st.st_uid == nobody ? Ownership::unknown : Ownership::another};
}

} // namespace rfork::kinds
