#include "format/records/process.h"
#include "stub/identity.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/prctl.h>

namespace rfork::stub {

void restore_process(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::ProcessRecord>(header);
    arch::syscall(__NR_prctl, PR_GET_PDEATHSIG, &stub.parent_death_signal);
    if (are_several(stub) && !record.keeps_ids)
        fail(stub, EBADMSG,
             "the image holds several processes, and not by which pids they know "
             "each other");
    if (record.keeps_ids && !stub.new_ids)
        keep_ids(stub, record);
    else
        Clocks(record).continue_here(stub);
    stub.clocks_continue = !stub.monotonic_shift && !stub.boottime_shift;
}

} // namespace rfork::stub
