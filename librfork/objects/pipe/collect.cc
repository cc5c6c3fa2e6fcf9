// A pipe can travel when no process outside has an end of it: both ends are here, or one is and the
// other nobody has any more. So is a shell's here-document, and what a producer has left when it
// ended: the unread bytes, and then the end of file.
//
// The bytes in a pipe are looked at without being taken out: tee(2) makes a second pipe refer to
// the same buffers, and that one is read.
//
//   the pipe    |AAAAAAAA|BBBB    |C       |        |    a ring of buffers, a page each
//                   |         |        |
//   tee(2)      |AAAAAAAA|BBBB    |C       |        |    the same pages
//                   |
//   splice(2)   |AAAAAAAA|                               one at a time, where it matters
//
// How the bytes are spread over the buffers mostly does not matter, and they are read as a stream.
// It does where a buffer is a packet, which a read(2) gives out alone; and in a pipe whose buffers
// are all in use although they are not all full: written into another pipe at once, the bytes would
// need fewer, and a writer that was blocked would not be. Then they are read one by one, through a
// pipe that has only one buffer.
#include "format/kinds.h"
#include "format/records/pipe.h"

#include "objects/descriptors.h"
#include "process/source.h"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rfork::kinds {
namespace {

using capture::ProcessSnapshot;
using capture::Source;

bool is_readable(const OpenDescription& d) {
    return (d.flags & O_ACCMODE) != O_WRONLY;
}

bool is_writable(const OpenDescription& d) {
    return (d.flags & O_ACCMODE) != O_RDONLY;
}

bool is_anonymous_pipe(const OpenDescription& d) {
    return S_ISFIFO(d.st.st_mode) && !d.dropped && !(d.flags & O_PATH) &&
           d.path.compare(0, 6, "pipe:[") == 0;
}

bool same_pipe(const OpenDescription& a, const OpenDescription& b) {
    return is_anonymous_pipe(b) && a.st.st_dev == b.st.st_dev && a.st.st_ino == b.st.st_ino;
}

// Which ends of a pipe the process has.
struct Here {
    bool readable = false, writable = false, stream = false;
};

Here ends_here(const OpenDescriptions& all, const OpenDescription& d) {
    Here here;
    for (const OpenDescription& other : all) {
        if (!same_pipe(d, other))
            continue;
        here.readable = here.readable || is_readable(other);
        here.writable = here.writable || is_writable(other);
        here.stream = here.stream || other.number() <= 2;
    }
    return here;
}

// What poll(2) says of an end tells whether there is another one anywhere.
bool has_hung_up(const Source& source, const OpenDescription& d) {
    const Result<UniqueFd> fd = source.descriptor(d.number());
    pollfd poll{fd ? fd->get() : -1, 0, 0};
    return ::poll(&poll, 1, 0) == 1 && (poll.revents & (is_readable(d) ? POLLHUP : POLLERR));
}

Error cannot_look(const OpenDescription& d, int error) {
    return system_error(error, "cannot look at the unread bytes of " + label(d),
                        error == EPERM ? "have the program read them, or raise "
                                         "/proc/sys/fs/pipe-user-pages-soft"
                                       : "have the program read them before the call");
}

struct ScratchPipe {
    UniqueFd read, write;

    // False: errno says why.
    bool open(int capacity) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
            return false;
        read = UniqueFd(ends[0]);
        write = UniqueFd(ends[1]);
        return fcntl(read.get(), F_SETPIPE_SZ, capacity) >= 0;
    }
    bool full() const {
        pollfd poll{write.get(), POLLOUT, 0};
        return ::poll(&poll, 1, 0) == 0;
    }
    // Bytes in it.
    int size() const {
        int bytes = 0;
        ioctl(read.get(), FIONREAD, &bytes);
        return bytes;
    }
};

// What of a pipe is not the same for all its ends.
struct Content {
    std::vector<PipeSegment> segments;
    std::vector<std::uint8_t> bytes;
};

// Appends what is in the scratch pipe, which is no more than `size`; false: errno says why.
bool append_all(const ScratchPipe& from, std::size_t size, std::vector<std::uint8_t>& bytes) {
    const std::size_t start = bytes.size();
    bytes.resize(start + size);
    for (std::size_t done = 0; done < size;) { // a read ends with a packet
        const ssize_t got = read(from.read.get(), bytes.data() + start + done, size - done);
        if (got <= 0)
            return false;
        done += std::size_t(got);
    }
    return true;
}

// Whether the one buffer in the scratch pipe is a packet: then a short read takes all of it. A
// packet of one byte looks like a buffer of one.
Result<bool> is_packet(const OpenDescription& d, const ScratchPipe& one, std::size_t size) {
    ScratchPipe test;
    std::uint8_t byte;
    if (!test.open(1) || tee(one.read.get(), test.write.get(), size, SPLICE_F_NONBLOCK) < 0 ||
        read(test.read.get(), &byte, 1) != 1)
        return cannot_look(d, errno);
    return size == 1 || test.size() == 0;
}

Result<Content> read_buffers(const OpenDescription& d, const ScratchPipe& all, bool packets) {
    constexpr std::size_t page = image::page_size;
    Content content;
    ScratchPipe one;
    if (!one.open(1))
        return cannot_look(d, errno);
    for (std::size_t left = std::size_t(all.size()); left > 0;) {
        const ssize_t size = splice(all.read.get(), nullptr, one.write.get(), nullptr, left,
                                    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (size <= 0)
            return cannot_look(d, size < 0 ? errno : EIO);
        bool packet = false;
        if (packets) {
            const Result<bool> r = is_packet(d, one, std::size_t(size));
            if (!r)
                return r.error();
            packet = *r;
        }
        const PipeContent kind = packet                      ? PipeContent::packet
                                 : std::size_t(size) >= page ? PipeContent::stream
                                                             : PipeContent::buffer;
        if (!append_all(one, std::size_t(size), content.bytes))
            return cannot_look(d, errno);
        left -= std::size_t(size);
        if (kind == PipeContent::stream && !content.segments.empty() &&
            content.segments.back().content == kind)
            content.segments.back().size += std::uint32_t(size);
        else
            content.segments.push_back({kind, std::uint32_t(size)});
    }
    return content;
}

Result<Content> read_content(const OpenDescription& d, int fd, int capacity, bool packets) {
    Content content;
    int size = 0;
    if (ioctl(fd, FIONREAD, &size) != 0)
        return cannot_look(d, errno);
    if (size == 0)
        return content;
    ScratchPipe all;
    if (!all.open(capacity) ||
        (size = int(tee(fd, all.write.get(), std::size_t(size), SPLICE_F_NONBLOCK))) < 0)
        return cannot_look(d, errno);
    if (packets || (all.full() && size != capacity))
        return read_buffers(d, all, packets);
    content.segments.push_back({PipeContent::stream, std::uint32_t(size)});
    if (!append_all(all, std::size_t(size), content.bytes))
        return cannot_look(d, errno);
    return content;
}

struct Pipe {
    const OpenDescription* readable = nullptr;
    bool packets = false;
    std::vector<PipeEnd> ends;
};

Pipe ends_of(const OpenDescriptions& all, const OpenDescription& first) {
    Pipe pipe;
    for (const OpenDescription& d : all) {
        if (!same_pipe(first, d))
            continue;
        if (is_readable(d))
            pipe.readable = &d;
        if (is_writable(d) && (d.flags & O_DIRECT))
            pipe.packets = true;
        pipe.ends.push_back({d.object, d.flags});
    }
    return pipe;
}

Result<void> add(const Source& source, ProcessSnapshot& process, const OpenDescription& first) {
    const Pipe pipe = ends_of(process.open_descriptions, first);
    const Result<UniqueFd> fd =
        source.descriptor(pipe.readable ? pipe.readable->number() : first.number());
    if (!fd)
        return fd.error();
    const int capacity = fcntl(fd->get(), F_GETPIPE_SZ);
    if (capacity < 0)
        return system_error(errno, "cannot ask for the size of " + label(first));
    const Result<Content> content =
        pipe.readable ? read_content(*pipe.readable, fd->get(), capacity, pipe.packets)
                      : Content(); // which nobody will read
    if (!content)
        return content.error();
    PipeRecord record{};
    record.object = object_header(process.all.new_object(), name_of(first, process));
    record.capacity = std::uint32_t(capacity);
    record.ends = std::uint32_t(pipe.ends.size());
    record.segments = std::uint32_t(content->segments.size());
    record.bytes = std::uint32_t(content->bytes.size());
    std::vector<std::uint8_t> extra;
    append(extra, pipe.ends);
    append(extra, content->segments);
    append(extra, content->bytes);
    process.all.objects.add(image::Kind::pipe, record, extra.data(), extra.size());
    for (const OpenDescription& d : process.open_descriptions)
        if (same_pipe(first, d))
            add_descriptors(process, d.object, d.slots);
    return {};
}

bool is_first_end(const OpenDescriptions& all, const OpenDescription& d) {
    for (const OpenDescription& other : all)
        if (same_pipe(d, other))
            return &other == &d;
    return false;
}

} // namespace

// A write end that nobody reads from any more stays a standard stream where it is one: a program
// that goes on writes to a new reader, instead of dying of SIGPIPE.
bool is_pipe(const Source& source, const OpenDescriptions& all, const OpenDescription& d) {
    if (!is_anonymous_pipe(d))
        return false;
    const Here here = ends_here(all, d);
    return (here.readable && here.writable) ||
           ((here.readable || !here.stream) && has_hung_up(source, d));
}

Result<void> collect_pipe(const Source& source, ProcessSnapshot& process) {
    for (const OpenDescription& d : process.open_descriptions)
        if (d.kind == image::Kind::pipe && is_first_end(process.open_descriptions, d))
            if (Result<void> r = add(source, process, d); !r)
                return r;
    return {};
}

} // namespace rfork::kinds
