#include "format/records/umask.h"
#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

void restore_umask(Stub&, const image::RecordHeader& header) {
    arch::syscall(__NR_umask, as<kinds::UmaskRecord>(header).mask);
}

} // namespace rfork::stub
