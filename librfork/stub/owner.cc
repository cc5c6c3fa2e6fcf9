#include "format/records/owner.h"
#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

bool is_owner(const kinds::Owner& owner, std::uint32_t user) {
    return kinds::is_owner(owner, user, std::uint32_t(arch::syscall(__NR_geteuid)));
}

} // namespace rfork::stub
