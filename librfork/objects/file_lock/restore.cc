// Takes a lock again, without waiting: whoever has it now may have changed what it protects. That
// may be the program that was frozen, if it goes on, which keeps what it holds.
//
// A process loses its own locks on a file (not those of the open file) with the first descriptor of
// that file that it closes. So it is late when they are taken, and what the resume itself has open
// of the file is closed before.
#include "format/records/file_lock.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

namespace rfork::stub {
namespace {

using kinds::FileLockRecord;
using kinds::FileLockType;

constexpr int lock_shared = 1, lock_exclusive = 2, do_not_wait = 4; // LOCK_SH ... of flock(2)

int fd_of(const Stub& stub, const FileLockRecord& record) {
    for (const image::Descriptor& d : descriptors_of(stub, record.object))
        if (!(d.flags & image::descriptor_until_resumed))
            return d.fd;
    fail(stub, EBADMSG, "the image holds a lock by a file that it does not have open,",
         string_at(stub, record.name));
}

struct flock range_of(const FileLockRecord& record) {
    struct flock range {};
    range.l_type = record.exclusive ? F_WRLCK : F_RDLCK;
    range.l_start = std::int64_t(record.start);
    range.l_len = std::int64_t(record.size);
    return range;
}

long take(const FileLockRecord& record, int fd) {
    const struct flock range = range_of(record);
    switch (record.type) {
    case FileLockType::whole:
        return arch::syscall(__NR_flock, fd,
                             (record.exclusive ? lock_exclusive : lock_shared) | do_not_wait);
    case FileLockType::of_process:
        return arch::syscall(__NR_fcntl, fd, F_SETLK, &range);
    case FileLockType::of_open_file:
        return arch::syscall(__NR_fcntl, fd, F_OFD_SETLK, &range);
    }
    return -EINVAL;
}

// 0: it cannot be told, or is nobody in this pid namespace.
std::uint64_t holder_of(const FileLockRecord& record, int fd) {
    struct flock range = range_of(record);
    const int ask = record.type == FileLockType::of_process ? F_GETLK : F_OFD_GETLK;
    if (record.type == FileLockType::whole || arch::syscall(__NR_fcntl, fd, ask, &range) < 0 ||
        range.l_type == F_UNLCK || range.l_pid < 0)
        return 0;
    return std::uint64_t(range.l_pid);
}

[[noreturn]] void cannot_lock(const Stub& stub, const FileLockRecord& record, int fd, long error) {
    const char* name = string_at(stub, record.name);
    if (error != -EAGAIN && error != -EACCES)
        fail(stub, int(-error), "cannot lock again what the program had locked,", name);
    char what[200];
    Text text(what, sizeof what);
    text << "what the program had locked is locked by ";
    if (const std::uint64_t holder = holder_of(record, fd))
        text << "process " << holder;
    else
        text << "somebody else";
    text << " now (the program that was frozen keeps its locks as long as it goes on):";
    fail(stub, EOPNOTSUPP, what, name);
}

} // namespace

void restore_file_lock(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<FileLockRecord>(header);
    const int fd = fd_of(stub, record);
    if (record.type == FileLockType::of_process)
        close_early(stub, fd);
    if (const long r = take(record, fd); r < 0)
        cannot_lock(stub, record, fd, r);
}

} // namespace rfork::stub
