#include "kinds/open_file/record.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

namespace rfork::stub {
namespace {

using kinds::FileType;
using kinds::OpenFileRecord;

constexpr std::uint32_t type_mask = 0170000, regular = 0100000, directory = 0040000,
                        character = 0020000;

int open_path(const Stub& stub, const OpenFileRecord& record) {
    const char* path = string_at(stub, record.path);
    const long fd = arch::syscall(__NR_open, path, record.flags | O_CLOEXEC | O_NOCTTY, 0);
    if (fd < 0)
        fail(stub, int(-fd), "cannot open again a file that the program had open,", path);
    return int(fd);
}

// Asks the file server for the file's state. The caller, which may still be here with the file open
// when a copy comes back from another host, would else make an NFS client believe that it knows
// all: an open of a file that is open already is answered from its cache.
void check_type(const Stub& stub, const OpenFileRecord& record, int fd, std::uint32_t wanted) {
    struct statx st;
    const long r = arch::syscall(__NR_statx, fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
                                 STATX_BASIC_STATS, &st);
    if (r < 0)
        fail(stub, int(-r), "cannot examine", string_at(stub, record.path));
    if ((st.stx_mode & type_mask) != wanted)
        fail(stub, EOPNOTSUPP, "what the program had open is here a file of another type:",
             string_at(stub, record.path));
}

void seek(const Stub& stub, const OpenFileRecord& record, int fd) {
    if (record.position == 0 || (record.flags & O_PATH))
        return;
    if (long r = arch::syscall(__NR_lseek, fd, record.position, 0); r < 0)
        fail(stub, int(-r), "cannot go to the program's offset in", string_at(stub, record.path));
}

int open_regular(const Stub& stub, const OpenFileRecord& record) {
    const int fd = open_path(stub, record);
    check_type(stub, record, fd, regular);
    seek(stub, record, fd);
    return fd;
}

int open_directory(const Stub& stub, const OpenFileRecord& record) {
    const int fd = open_path(stub, record);
    check_type(stub, record, fd, directory);
    seek(stub, record, fd);
    return fd;
}

int open_device(const Stub& stub, const OpenFileRecord& record) {
    const int fd = open_path(stub, record);
    check_type(stub, record, fd, character);
    return fd;
}

// -1 when the image was started without that stream: then the program has none either.
int take_stream(const Stub& stub, const OpenFileRecord& record) {
    const int from = stub.stream_fd[record.stream];
    if (from < 0)
        return -1;
    const long fd = arch::syscall(__NR_fcntl, from, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        fail(stub, int(-fd), "cannot pass on the standard streams");
    return int(fd);
}

int open_again(const Stub& stub, const OpenFileRecord& record) {
    switch (record.type) {
    case FileType::regular:
        return open_regular(stub, record);
    case FileType::directory:
        return open_directory(stub, record);
    case FileType::device:
        return open_device(stub, record);
    case FileType::stream:
        return take_stream(stub, record);
    }
    fail(stub, EBADMSG, "the image holds a type of file that its own stub does not know:",
         string_at(stub, record.path));
}

} // namespace

void restore_open_file(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<OpenFileRecord>(header);
    const int opened = open_again(stub, record);
    if (opened >= 0)
        place(stub, opened, record.slot(), record.slots, string_at(stub, record.path));
}

} // namespace rfork::stub
