#include "format/records/signal_fd.h"

#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

void restore_signal_fd(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::SignalFdRecord>(header);
    const char* name = string_at(stub, record.object.name);
    const long fd = arch::syscall(__NR_signalfd4, -1, &record.mask, sizeof record.mask, 0);
    if (fd < 0)
        fail(stub, int(-fd), "cannot make again a signalfd of the program,", name);
    set_status_flags(stub, int(fd), record.object.flags, name);
    place(stub, int(fd), record.object);
}

} // namespace rfork::stub
