#include "kinds/working_directory/record.h"
#include "stub/stub.h"

#include <asm/unistd.h>

namespace rfork::stub {

void restore_working_directory(Stub& stub, const image::RecordHeader& header) {
    const char* path = string_at(stub, as<kinds::WorkingDirectoryRecord>(header).path);
    if (long r = arch::syscall(__NR_chdir, path); r < 0)
        fail(stub, int(-r), "cannot enter the program's working directory", path);
}

} // namespace rfork::stub
