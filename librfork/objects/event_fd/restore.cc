#include "format/records/event_fd.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>

namespace rfork::stub {

void restore_event_fd(Stub& stub, const image::RecordHeader& header) {
    constexpr int semaphore = 1; // EFD_SEMAPHORE
    const auto& record = as<kinds::EventFdRecord>(header);
    const char* name = string_at(stub, record.object.name);
    const long fd = arch::syscall(__NR_eventfd2, 0, record.semaphore ? semaphore : 0);
    if (fd < 0)
        fail(stub, int(-fd), "cannot make again an eventfd of the program,", name);
    if (record.count) // eventfd2() itself takes 32 bits of it
        if (long r = arch::syscall(__NR_write, fd, &record.count, sizeof record.count); r < 0)
            fail(stub, int(-r), "cannot set the counter of an eventfd of the program,", name);
    set_status_flags(stub, int(fd), record.object.flags, name);
    place(stub, int(fd), record.object);
}

} // namespace rfork::stub
