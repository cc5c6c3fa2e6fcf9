#include "format/records/address_space.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/prctl.h>

namespace rfork::stub {

// PR_SET_MM_MAP needs no privilege as long as exe_fd stays -1 (prctl(2), Linux 3.18). Without it
// the next brk(2) of malloc would fail, and ps would show the image's arguments.
void restore_address_space(Stub& stub, const image::RecordHeader& header) {
    const auto& r = as<kinds::AddressSpaceRecord>(header);
    prctl_mm_map map{};
    map.start_code = r.start_code;
    map.end_code = r.end_code;
    map.start_data = r.start_data;
    map.end_data = r.end_data;
    map.start_brk = r.start_brk;
    map.brk = r.brk;
    map.start_stack = r.start_stack;
    map.arg_start = r.arg_start;
    map.arg_end = r.arg_end;
    map.env_start = r.env_start;
    map.env_end = r.env_end;
    map.auxv = reinterpret_cast<__u64*>(const_cast<std::uint64_t*>(r.auxv));
    map.auxv_size = std::uint32_t(r.auxv_words * sizeof(std::uint64_t));
    map.exe_fd = std::uint32_t(-1);
    const long result = arch::syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
    if (result == -EINVAL)
        fail(stub, EOPNOTSUPP,
             "this kernel refuses to restore the program's heap and argument areas "
             "(PR_SET_MM_MAP): it needs CONFIG_CHECKPOINT_RESTORE, as Debian's kernels have");
    if (result < 0)
        fail(stub, int(-result), "cannot restore the program's heap and argument areas");
    map_temporary_directory(stub, r);
}

} // namespace rfork::stub
