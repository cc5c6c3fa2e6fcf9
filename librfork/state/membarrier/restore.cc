#include "format/records/membarrier.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/membarrier.h>

namespace rfork::stub {

// While this is the only thread, the kernel has nobody to wait for.
void restore_membarrier(Stub& stub, const image::RecordHeader& header) {
    const std::uint64_t registrations = as<kinds::MembarrierRecord>(header).registrations;
    for (unsigned bit = 0; bit < 31; ++bit) {
        const std::uint64_t command = std::uint64_t(1) << bit;
        if (!(registrations & command))
            continue;
        const long r = arch::syscall(__NR_membarrier, command, 0, 0);
        if (r < 0 && command != MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) // only for others' sake
            fail(stub, int(-r),
                 "this kernel does not have the memory barriers that the program uses "
                 "(membarrier(2))");
    }
}

} // namespace rfork::stub
