#include "format/records/owner.h"
#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

using kinds::Ownership;

// A user namespace of the process's own makes all other users nobody; then it is enough that the
// file is not, or still is, the process's.
bool is_owner(const kinds::Owner& owner, std::uint32_t user) {
    const auto self = std::uint32_t(arch::syscall(__NR_geteuid));
    switch (owner.ownership) {
    case Ownership::own:
        return user == self || user == owner.user || (user == kinds::nobody && self != owner.user);
    case Ownership::another:
        return user == owner.user || user == kinds::nobody;
    case Ownership::unknown:
        return true;
    }
    return true;
}

} // namespace rfork::stub
