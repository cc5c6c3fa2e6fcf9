// A path is all that leads to a file, and on the way here, or since, somebody may have put another
// one there: a neighbour, who would have the program write into a file of his or follow a link of
// his; an editor, which replaces what it saves; a program that has begun its log anew.
//
//   refused            another type, a link; another owner; a file that the program writes to and
//                      that is not the same any more; a file that is shorter than where the program
//                      goes on in it
//   told, and taken    any other change since a checkpoint: on standard error
//
// RFORK_FILES=trust asks for the type only. RFORK_FILES=rollback makes files that the program
// writes to as long as they were, when nothing can fail any more. During a hop nothing is told:
// programs go on writing to shared files while one of them travels.
//
// Nothing is opened that has not been looked at, since an open alone can have an effect (a tape is
// wound) or wait for ever (a FIFO). What is looked at and what is opened can differ, but then the
// open does not wait (O_NONBLOCK), and what it has opened is not used.
#include "format/kinds.h"
#include "format/records/open_file.h"
#include "stub/stub.h"

#include <asm/ioctls.h>
#include <asm/termios.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

namespace rfork::stub {
namespace {

using kinds::FileType;
using kinds::OpenFileRecord;

constexpr std::uint32_t type_mask = 0170000, symbolic_link = 0120000;

#define TRUST "(RFORK_FILES=trust goes on with what is there):"

// A device is the same everywhere.
const char* path_of(const Stub& stub, const OpenFileRecord& record) {
    const char* path = string_at(stub, record.object.name);
    return record.type == FileType::device ? path : path_here(stub, path);
}

bool is_writable(const OpenFileRecord& record) {
    return !(record.object.flags & O_PATH) && (record.object.flags & O_ACCMODE) != O_RDONLY;
}

bool is_checkpoint(const Stub& stub) {
    return !(stub.header->flags & image::flag_travels);
}

std::uint64_t number(std::uint32_t major, std::uint32_t minor) {
    return std::uint64_t(major) << 32 | minor;
}

void check_type(const Stub& stub, const OpenFileRecord& record, const struct statx& st) {
    if ((st.stx_mode & type_mask) == symbolic_link)
        fail(stub, EOPNOTSUPP,
             "what the program had open is here a symbolic link, which is not followed " TRUST,
             path_of(stub, record));
    if ((st.stx_mode & type_mask) != (record.mode & type_mask) ||
        (record.type == FileType::device &&
         number(st.stx_rdev_major, st.stx_rdev_minor) != record.device))
        fail(stub, EOPNOTSUPP,
             "what the program had open is here a file of another type:", path_of(stub, record));
}

[[noreturn]] void cannot_open(const Stub& stub, const OpenFileRecord& record, long error) {
    fail(stub, int(-error), "cannot open again a file that the program had open,",
         path_of(stub, record));
}

// Asks the file server for the file's state. The caller, which may still be here with the file open
// when a copy comes back from another host, would else make an NFS client believe that it knows
// all: an open of a file that is open already is answered from its cache.
void examine(const Stub& stub, const OpenFileRecord& record, int fd, struct statx& st) {
    const long r = arch::syscall(__NR_statx, fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
                                 STATX_BASIC_STATS, &st);
    if (r < 0)
        fail(stub, int(-r), "cannot examine", path_of(stub, record));
    check_type(stub, record, st);
}

// Where the path leads. A link is not followed, unless the user trusts it.
void look(const Stub& stub, const OpenFileRecord& record, struct statx& st) {
    const int flags = stub.files == Files::trust ? 0 : AT_SYMLINK_NOFOLLOW;
    const long r = arch::syscall(__NR_statx, AT_FDCWD, path_of(stub, record), flags,
                                 STATX_TYPE | STATX_INO, &st);
    if (r < 0)
        cannot_open(stub, record, r);
    check_type(stub, record, st);
}

bool is_same(const struct statx& a, const struct statx& b) {
    return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
           a.stx_dev_minor == b.stx_dev_minor;
}

// Not with O_NOFOLLOW, which a file would keep, and F_GETFL show to the program.
int open_path(const Stub& stub, const OpenFileRecord& record, struct statx& st) {
    struct statx there;
    look(stub, record, there);
    const long fd = arch::syscall(__NR_open, path_of(stub, record),
                                  record.object.flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (fd < 0)
        cannot_open(stub, record, fd);
    examine(stub, record, int(fd), st);
    if (!is_same(there, st))
        fail(stub, EOPNOTSUPP,
             "what the program had open is being replaced at this moment:", path_of(stub, record));
    if (!(record.object.flags & (O_NONBLOCK | O_PATH)))
        arch::syscall(__NR_fcntl, fd, F_SETFL,
                      record.object.flags); // sets what can be set, no more
    return int(fd);
}

void check_owner(const Stub& stub, const OpenFileRecord& record, const struct statx& st) {
    if (stub.files != Files::trust && !is_owner(record.owner, st.stx_uid))
        fail(stub, EOPNOTSUPP,
             "a file that the program had open belongs here to another user " TRUST,
             path_of(stub, record));
}

bool is_same_boot(const Stub& stub, const OpenFileRecord& record) {
    char id[64];
    const long fd = arch::syscall(__NR_open, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    const long size = fd < 0 ? 0 : arch::syscall(__NR_read, fd, id, sizeof id);
    if (fd >= 0)
        arch::syscall(__NR_close, fd);
    const char* was = string_at(stub, record.boot);
    const unsigned length = stub::length(was);
    if (length == 0 || size < long(length))
        return false;
    id[length] = '\0';
    return same(id, was);
}

// Inodes say something only where their numbers come from.
bool is_replaced(const Stub& stub, const OpenFileRecord& record, const struct statx& st) {
    return record.inode != 0 && st.stx_ino != record.inode &&
           number(st.stx_dev_major, st.stx_dev_minor) == record.device &&
           is_same_boot(stub, record);
}

void check_length(const Stub& stub, const OpenFileRecord& record, const struct statx& st) {
    const std::uint64_t needed = record.position < record.size ? record.position : record.size;
    if (st.stx_size >= needed)
        return;
    char what[200];
    Text(what, sizeof what) << (record.type == FileType::mapped
                                    ? "a file that the program has mapped up to byte "
                                    : "a file in which the program was at byte ")
                            << needed << " has only " << std::uint64_t(st.stx_size)
                            << " here " TRUST;
    fail(stub, EOPNOTSUPP, what, path_of(stub, record));
}

void tell_length(const Stub& stub, const OpenFileRecord& record, const struct statx& st) {
    if (stub.files == Files::rollback && st.stx_size > record.size)
        return;
    char what[200];
    Text(what, sizeof what) << "a file that the program writes to had " << record.size
                            << " bytes when it was frozen, and has " << std::uint64_t(st.stx_size)
                            << (st.stx_size > record.size
                                    ? " now (RFORK_FILES=rollback cuts it off there):"
                                    : " now:");
    note(stub, what, path_of(stub, record));
}

std::int64_t modified(const struct statx& st) {
    constexpr std::int64_t second = 1'000'000'000;
    return st.stx_mtime.tv_sec * second + st.stx_mtime.tv_nsec;
}

// Of the same file: what is a copy somewhere else has another time, and that says nothing.
bool was_modified(const OpenFileRecord& record, const struct statx& st) {
    return record.modified != 0 && st.stx_ino == record.inode && modified(st) != record.modified;
}

// Of a file that is both open and mapped, all is said already.
bool is_open_too(const Stub& stub, const OpenFileRecord& mapped) {
    Records records = Records::of_objects(stub);
    while (const image::RecordHeader* header = records.next()) {
        const auto& record = as<OpenFileRecord>(*header);
        if (header->kind == image::Kind::open_file && record.type == FileType::regular &&
            same(string_at(stub, record.object.name), string_at(stub, mapped.object.name)))
            return true;
    }
    return false;
}

void tell_changes(const Stub& stub, const OpenFileRecord& record, const struct statx& st,
                  bool replaced) {
    const bool longer_or_shorter = st.stx_size != record.size;
    if (!is_checkpoint(stub) || (record.type == FileType::mapped && is_open_too(stub, record)))
        return;
    if (replaced)
        note(stub, "another file is now where the program reads one:", path_of(stub, record));
    else if (!is_writable(record) && (longer_or_shorter || was_modified(record, st)))
        note(stub, "a file that the program reads has changed since it was frozen:",
             path_of(stub, record));
    else if (is_writable(record) && longer_or_shorter)
        tell_length(stub, record, st);
    else if (is_writable(record) && was_modified(record, st))
        note(stub, "a file that the program writes to has been written to since it was frozen:",
             path_of(stub, record));
}

void check_content(const Stub& stub, const OpenFileRecord& record, const struct statx& st) {
    if ((record.object.flags & O_PATH) || stub.files == Files::trust)
        return;
    check_length(stub, record, st);
    const bool replaced = is_replaced(stub, record, st);
    if (replaced && is_writable(record))
        fail(stub, EOPNOTSUPP, "another file is now where the program was writing to one " TRUST,
             path_of(stub, record));
    tell_changes(stub, record, st, replaced);
}

void seek(const Stub& stub, const OpenFileRecord& record, int fd) {
    if (record.position == 0 || (record.object.flags & O_PATH))
        return;
    if (long r = arch::syscall(__NR_lseek, fd, record.position, 0); r < 0)
        fail(stub, int(-r), "cannot go to the program's offset in", path_of(stub, record));
}

int open_checked(const Stub& stub, const OpenFileRecord& record) {
    struct statx st;
    const int fd = open_path(stub, record, st);
    check_owner(stub, record, st);
    check_content(stub, record, st);
    return fd;
}

int open_regular(const Stub& stub, const OpenFileRecord& record) {
    const int fd = open_checked(stub, record);
    seek(stub, record, fd);
    return fd;
}

int open_directory(const Stub& stub, const OpenFileRecord& record) {
    struct statx st;
    const int fd = open_path(stub, record, st);
    check_owner(stub, record, st);
    seek(stub, record, fd);
    return fd;
}

int open_device(const Stub& stub, const OpenFileRecord& record) {
    struct statx st;
    return open_path(stub, record, st);
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
    case FileType::mapped:
        return -1;
    }
    fail(stub, EBADMSG,
         "the image holds a type of file that its own stub does not know:", path_of(stub, record));
}

void roll_back(const Stub& stub, const OpenFileRecord& record) {
    const Descriptors descriptors = descriptors_of(stub, record.object.id);
    if (record.type != FileType::regular || !is_writable(record) || descriptors.empty())
        return;
    const int fd = descriptors.front().fd;
    struct statx st;
    examine(stub, record, fd, st);
    if (st.stx_size <= record.size)
        return;
    if (long r = arch::syscall(__NR_ftruncate, fd, record.size); r < 0)
        fail(stub, int(-r), "cannot cut off (RFORK_FILES=rollback) a file of the program,",
             path_of(stub, record));
}

} // namespace

void restore_open_file(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<OpenFileRecord>(header);
    const int opened = open_again(stub, record);
    if (opened >= 0)
        place(stub, opened, record.object);
}

int open_mapped_file(const Stub& stub, const image::Mapping& mapping) {
    Records records = Records::of_objects(stub);
    while (const image::RecordHeader* header = records.next()) {
        const auto& record = as<OpenFileRecord>(*header);
        if (header->kind == image::Kind::open_file && record.type == FileType::mapped &&
            record.object.id == mapping.object)
            return open_checked(stub, record);
    }
    fail(stub, EBADMSG, "the image does not say by what to know a file that is mapped shared,",
         string_at(stub, mapping.name));
}

bool has_other_window(const Stub& stub) {
    Records records = Records::of_objects(stub);
    while (const image::RecordHeader* header = records.next()) {
        const auto& record = as<OpenFileRecord>(*header);
        if (header->kind != image::Kind::open_file || record.type != FileType::stream)
            continue;
        winsize window{};
        if (record.size != 0 &&
            arch::syscall(__NR_ioctl, stub.stream_fd[record.stream], TIOCGWINSZ, &window) == 0 &&
            record.size != kinds::window_size(window.ws_row, window.ws_col))
            return true;
    }
    return false;
}

void roll_back_files(Stub& stub) {
    if (stub.files != Files::rollback || !is_checkpoint(stub) || !is_first(stub))
        return;
    const image::Process* self = stub.process;
    if (are_several(stub))
        stub.process = &stub.nobody; // who still has all that they share
    Records records = Records::of_objects(stub);
    while (const image::RecordHeader* header = records.next())
        if (header->kind == image::Kind::open_file)
            roll_back(stub, as<OpenFileRecord>(*header));
    stub.process = self;
}

} // namespace rfork::stub
