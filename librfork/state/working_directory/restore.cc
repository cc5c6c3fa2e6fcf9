#include "format/records/working_directory.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

namespace rfork::stub {
namespace {

// In a directory of his a neighbour would decide which files the program finds.
void check_owner(const Stub& stub, const kinds::Owner& owner, const char* path) {
    struct statx st;
    if (stub.files == Files::trust)
        return;
    if (long r = arch::syscall(__NR_statx, AT_FDCWD, ".", 0, STATX_UID, &st); r < 0)
        fail(stub, int(-r), "cannot examine the program's working directory", path);
    if (!is_owner(owner, st.stx_uid))
        fail(stub, EOPNOTSUPP,
             "the program's working directory belongs here to another user (RFORK_FILES=trust "
             "enters it):",
             path);
}

} // namespace

void restore_working_directory(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::WorkingDirectoryRecord>(header);
    const char* path = path_here(stub, string_at(stub, record.path));
    if (long r = arch::syscall(__NR_chdir, path); r < 0)
        fail(stub, int(-r), "cannot enter the program's working directory", path);
    check_owner(stub, record.owner, path);
}

} // namespace rfork::stub
