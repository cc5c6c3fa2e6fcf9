// Capabilities. A user namespace gives whoever makes it all of them, over the namespace; the
// program must not have more after the resume than the process had that was executed.
#include "stub/identity.h"

#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/prctl.h>

namespace rfork::stub {
namespace {

constexpr unsigned most_capabilities = 64;

long set_capabilities(std::uint64_t effective, std::uint64_t permitted, std::uint64_t inheritable) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    for (unsigned half = 0; half < 2; ++half)
        data[half] = {std::uint32_t(effective >> 32 * half), std::uint32_t(permitted >> 32 * half),
                      std::uint32_t(inheritable >> 32 * half)};
    return arch::syscall(__NR_capset, &header, data);
}

bool is_bounding(unsigned capability) {
    return arch::syscall(__NR_prctl, PR_CAPBSET_READ, capability, 0, 0, 0) == 1;
}

bool is_ambient(unsigned capability) {
    return arch::syscall(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1;
}

} // namespace

Rights read_rights() {
    Rights rights;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    arch::syscall(__NR_capget, &header, data);
    for (unsigned half = 0; half < 2; ++half) {
        rights.effective |= std::uint64_t(data[half].effective) << 32 * half;
        rights.permitted |= std::uint64_t(data[half].permitted) << 32 * half;
        rights.inheritable |= std::uint64_t(data[half].inheritable) << 32 * half;
    }
    for (unsigned i = 0; i < most_capabilities; ++i) {
        if (is_bounding(i))
            rights.bounding |= bit(i);
        if ((rights.inheritable & bit(i)) && is_ambient(i))
            rights.ambient |= bit(i);
    }
    const long bits = arch::syscall(__NR_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
    rights.securebits = bits > 0 ? std::uint32_t(bits) : 0;
    return rights;
}

bool may_choose_pids(const Rights& rights) {
    return rights.effective & (bit(cap_sys_admin) | bit(cap_checkpoint_restore));
}

void limit_rights(const Stub& stub, const Rights& rights, std::uint64_t extra) {
    const Rights now = read_rights();
    for (unsigned i = 0; i < most_capabilities; ++i)
        if ((now.bounding & bit(i)) && !(rights.bounding & bit(i)))
            arch::syscall(__NR_prctl, PR_CAPBSET_DROP, i, 0, 0, 0);
    if (now.securebits != rights.securebits)
        arch::syscall(__NR_prctl, PR_SET_SECUREBITS, rights.securebits, 0, 0, 0);
    if (long r = set_capabilities(rights.effective | extra, rights.permitted | extra,
                                  rights.inheritable & rights.bounding);
        r < 0)
        fail(stub, int(-r), "cannot give up the rights that a user namespace brought");
    for (unsigned i = 0; i < most_capabilities; ++i)
        if (rights.ambient & bit(i))
            arch::syscall(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
}

void return_rights(const Stub& stub) {
    if (!stub.borrowed_rights)
        return;
    const Rights& rights = stub.rights;
    if (long r = set_capabilities(rights.effective, rights.permitted,
                                  rights.inheritable & rights.bounding);
        r < 0)
        fail(stub, int(-r), "cannot give up the rights that a user namespace brought");
}

} // namespace rfork::stub
