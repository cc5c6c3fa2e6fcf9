#include "format/records/timer_fd.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/time.h>

namespace rfork::stub {

void restore_timer_fd(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::TimerFdRecord>(header);
    const char* name = string_at(stub, record.object.name);
    const bool wakes = record.clock == CLOCK_REALTIME_ALARM || record.clock == CLOCK_BOOTTIME_ALARM;
    const long fd = arch::syscall(__NR_timerfd_create, record.clock, 0);
    if (fd < 0)
        fail(stub, int(-fd),
             wakes ? "cannot make again a timer of the program that wakes the machine up, which "
                     "needs CAP_WAKE_ALARM here,"
                   : "cannot make again a timer of the program,",
             name);
    set_status_flags(stub, int(fd), record.object.flags, name);
    place(stub, int(fd), record.object);
}

} // namespace rfork::stub
