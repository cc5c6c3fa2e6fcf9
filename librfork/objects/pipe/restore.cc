// A pipe is filled as its record says. A buffer of its own is made in another pipe and moved: what
// is written into a pipe would be added to its last buffer where there is room in it. An end that
// the program did not have is closed at last, and the other one has hung up again.
#include "format/records/pipe.h"

#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

namespace rfork::stub {
namespace {

using kinds::PipeContent;
using kinds::PipeEnd;
using kinds::PipeRecord;

struct Pipe {
    int read, write;
};

// To a number that none of its ends is to have.
int set_aside(const Stub& stub, int fd, const PipeRecord& record, const char* name) {
    for (std::uint32_t i = 0; i < record.ends;) {
        const int moved =
            stub::set_aside(stub, fd, descriptors_of(stub, record.end()[i].object), name);
        i = moved == fd ? i + 1 : 0; // another end may be to have the new one
        fd = moved;
    }
    return fd;
}

Pipe make(const Stub& stub, const PipeRecord& record, const char* name) {
    int ends[2];
    if (long r = arch::syscall(__NR_pipe2, ends, O_CLOEXEC | O_NONBLOCK); r < 0)
        fail(stub, int(-r), "cannot make again a pipe of the program,", name);
    return {set_aside(stub, ends[0], record, name), set_aside(stub, ends[1], record, name)};
}

void close(Pipe pipe) {
    arch::syscall(__NR_close, pipe.read);
    arch::syscall(__NR_close, pipe.write);
}

[[noreturn]] void does_not_fit(const Stub& stub, int error, const char* name) {
    fail(stub, error,
         "the unread bytes of a pipe do not fit into it, as it may not be as large as it was "
         "(/proc/sys/fs/pipe-max-size, pipe-user-pages-soft):",
         name);
}

void write_stream(const Stub& stub, int fd, const std::uint8_t* bytes, std::uint32_t size,
                  const char* name) {
    for (std::uint32_t done = 0; done < size;) {
        const long written = arch::syscall(__NR_write, fd, bytes + done, size - done);
        if (written <= 0)
            does_not_fit(stub, written < 0 ? int(-written) : EAGAIN, name);
        done += std::uint32_t(written);
    }
}

void write_buffer(const Stub& stub, Pipe scratch, int fd, const std::uint8_t* bytes,
                  std::uint32_t size, bool packet, const char* name) {
    arch::syscall(__NR_fcntl, scratch.write, F_SETFL, O_NONBLOCK | (packet ? O_DIRECT : 0));
    write_stream(stub, scratch.write, bytes, size, name);
    const long moved = arch::syscall(__NR_splice, scratch.read, nullptr, fd, nullptr, size, 0);
    if (moved != long(size))
        does_not_fit(stub, moved < 0 ? int(-moved) : EAGAIN, name);
}

void fill(const Stub& stub, const PipeRecord& record, int fd, const char* name) {
    Pipe scratch{-1, -1};
    const std::uint8_t* bytes = record.data();
    for (std::uint32_t i = 0; i < record.segments; ++i) {
        const kinds::PipeSegment& segment = record.segment()[i];
        if (segment.content == PipeContent::stream) {
            write_stream(stub, fd, bytes, segment.size, name);
        } else {
            if (scratch.read < 0)
                scratch = make(stub, record, name);
            write_buffer(stub, scratch, fd, bytes, segment.size,
                         segment.content == PipeContent::packet, name);
        }
        bytes += segment.size;
    }
    if (scratch.read >= 0)
        close(scratch);
}

// An end that pipe(2) does not give: opened by the program through /proc, as here.
int open_end(const Stub& stub, int pipe, std::uint32_t flags, const char* name) {
    char path[32];
    Text(path, sizeof path) << "/proc/self/fd/" << std::uint64_t(pipe);
    const long fd = arch::syscall(__NR_open, path, (flags & O_ACCMODE) | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        fail(stub, int(-fd), "cannot open another end of a pipe of the program,", name);
    return int(fd);
}

void clear_nonblocking(int fd) {
    arch::syscall(__NR_fcntl, fd, F_SETFL, 0);
}

// The first end for reading only, and the first for writing only, are those of pipe(2).
void place_ends(const Stub& stub, const PipeRecord& record, Pipe pipe, const char* name) {
    bool have_read = false, have_write = false;
    for (std::uint32_t i = 0; i < record.ends; ++i) {
        const PipeEnd& end = record.end()[i];
        bool* have = (end.flags & O_ACCMODE) == O_RDONLY   ? &have_read
                     : (end.flags & O_ACCMODE) == O_WRONLY ? &have_write
                                                           : nullptr;
        int fd;
        if (have && !*have) {
            *have = true;
            const int original = have == &have_read ? pipe.read : pipe.write;
            fd = int(arch::syscall(__NR_fcntl, original, F_DUPFD_CLOEXEC, 0));
            if (fd < 0)
                fail(stub, -fd, "cannot duplicate an end of a pipe of the program,", name);
        } else {
            fd = open_end(stub, pipe.read, end.flags, name);
        }
        fd = set_aside(stub, fd, record, name);
        clear_nonblocking(fd);
        set_status_flags(stub, fd, end.flags, name);
        place(stub, fd, descriptors_of(stub, end.object), name);
    }
}

} // namespace

void restore_pipe(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<PipeRecord>(header);
    const char* name = string_at(stub, record.object.name);
    const Pipe pipe = make(stub, record, name);
    // What an ordinary user may not have again only matters if the bytes do not fit.
    if (arch::syscall(__NR_fcntl, pipe.read, F_GETPIPE_SZ) != long(record.capacity))
        arch::syscall(__NR_fcntl, pipe.read, F_SETPIPE_SZ, record.capacity);
    fill(stub, record, pipe.write, name);
    place_ends(stub, record, pipe, name);
    close(pipe);
}

} // namespace rfork::stub
