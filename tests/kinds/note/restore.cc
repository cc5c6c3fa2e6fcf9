#include "record.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>

namespace rfork::stub {

void restore_note(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::NoteRecord>(header);
    const char* name = string_at(stub, record.object.name);
    const long fd = arch::syscall(__NR_memfd_create, "note", 0);
    if (fd < 0 || arch::syscall(__NR_pwrite64, fd, record.text(), record.size, 0) != record.size)
        fail(stub, fd < 0 ? int(-fd) : EIO, "cannot write again a note of the program,", name);
    place(stub, int(fd), record.object);
}

} // namespace rfork::stub
