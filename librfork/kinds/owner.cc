#include "kinds/owner.h"

#include <sys/stat.h>
#include <unistd.h>

namespace rfork::kinds {

Owner owner_of(const struct stat& st) {
    if (st.st_uid == geteuid())
        return {st.st_uid, Ownership::own};
    return {st.st_uid, st.st_uid == nobody ? Ownership::unknown : Ownership::another};
}

} // namespace rfork::kinds
