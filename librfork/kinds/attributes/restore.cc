#include "kinds/attributes/record.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/prctl.h>

namespace rfork::stub {

void restore_attributes(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::AttributesRecord>(header);
    if (record.no_new_privileges)
        if (long r = arch::syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); r < 0)
            fail(stub, int(-r), "cannot set no_new_privs again");
    if (record.child_subreaper)
        arch::syscall(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1);
    if (record.not_dumpable)
        arch::syscall(__NR_prctl, PR_SET_DUMPABLE, 0);
    if (record.thp_disable)
        arch::syscall(__NR_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

} // namespace rfork::stub
