// The stub's own descriptors, kept at numbers that the frozen process does not use.
//
// The program's descriptors are put in place one by one while these stay open; so they are moved
// out of the way first, and everything else that was inherited (a shell's here-document, a daemon's
// socket) is closed, as the frozen process did not have it.
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

namespace rfork::stub {
namespace {

constexpr unsigned no_more = ~0u;

bool is_one_of(int fd, Descriptors descriptors) {
    for (const image::Descriptor& d : descriptors)
        if (d.fd == fd)
            return true;
    return false;
}

std::uint32_t descriptor_flags(const image::Descriptor& d, std::uint32_t close_on_exec) {
    return d.flags & image::descriptor_close_on_exec ? close_on_exec : 0;
}

void close_all_from(unsigned first, unsigned last) {
    // Before 5.9 there is no close_range(2); the table is then small enough to walk.
    if (first > last || arch::syscall(__NR_close_range, first, last, 0) >= 0)
        return;
    for (unsigned fd = first; fd <= last && fd < 65536; ++fd)
        arch::syscall(__NR_close, fd);
}

} // namespace

void close_all_descriptors(int but) {
    if (but > 0)
        close_all_from(0, unsigned(but) - 1);
    close_all_from(unsigned(but + 1), no_more);
}

long keep_off_streams(int fd) {
    if (fd > 2)
        return fd;
    const long moved = arch::syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 3);
    arch::syscall(__NR_close, fd);
    return moved;
}

void renumber_private_descriptors(Stub& stub) {
    const std::int32_t(&numbers)[image::private_descriptors] = stub.header->descriptors;
    const Stub::Pipe &built = stub.built_pipe, &arm = stub.arm_pipe;
    const Stub::Pipe &ready = stub.ready_pipe, &go = stub.go_pipe;
    int now[image::private_descriptors] = {
        stub.image_fd, stub.status_fd, stub.spool_fd, 0,        1,         2,     built.in,
        built.out,     arm.in,         arm.out,       ready.in, ready.out, go.in, go.out};
    int floor = 3;
    for (int number : numbers)
        if (number >= floor)
            floor = number + 1;

    // First all above every number that is wanted, in one block ...
    int highest = floor;
    for (unsigned i = 0; i < image::private_descriptors; ++i) {
        if (now[i] < 0)
            continue;
        const long fd = arch::syscall(__NR_fcntl, now[i], F_DUPFD_CLOEXEC, floor);
        if (fd == -EBADF && i >= image::fd_stream0 && i <= image::fd_stream2) {
            now[i] = -1; // started with that stream closed
            continue;
        }
        if (fd < 0)
            fail(stub, int(-fd),
                 "cannot move the descriptors that the resume itself needs out of the way: raise "
                 "the limit on open files (ulimit -n)");
        now[i] = int(fd);
        highest = now[i] > highest ? now[i] : highest;
    }
    stub.stream_fd[2] = now[image::fd_stream2]; // for sentences on the way
    for (int fd = floor; fd <= highest; ++fd) {
        bool ours = false;
        for (unsigned i = 0; i < image::private_descriptors; ++i)
            ours = ours || now[i] == fd;
        if (!ours)
            arch::syscall(__NR_close, fd);
    }
    close_all_from(0, unsigned(floor) - 1);
    close_all_from(unsigned(highest) + 1, no_more);

    // ... then each to its place.
    for (unsigned i = 0; i < image::private_descriptors; ++i) {
        if (now[i] < 0)
            continue;
        const long fd = arch::syscall(__NR_dup3, now[i], numbers[i], O_CLOEXEC);
        if (fd < 0)
            fail(stub, int(-fd), "cannot put a descriptor of the resume in its place");
        arch::syscall(__NR_close, now[i]);
        now[i] = int(fd);
    }
    stub.image_fd = now[image::fd_image];
    stub.status_fd = now[image::fd_status];
    stub.spool_fd = now[image::fd_spool];
    for (unsigned i = 0; i < 3; ++i)
        stub.stream_fd[i] = now[image::fd_stream0 + i];
    stub.built_pipe = {now[image::fd_built_in], now[image::fd_built_out]};
    stub.arm_pipe = {now[image::fd_arm_in], now[image::fd_arm_out]};
    stub.ready_pipe = {now[image::fd_ready_in], now[image::fd_ready_out]};
    stub.go_pipe = {now[image::fd_go_in], now[image::fd_go_out]};
}

namespace {

Descriptors descriptors_of(const Stub& stub, const image::Process& process) {
    return table<image::Descriptor>(stub, image::SectionKind::descriptors, process.id);
}

// A table is in the order of the objects.
Descriptors part_for(Descriptors all, std::uint32_t object) {
    const std::size_t first = first_of(all, object);
    std::size_t last = first;
    while (last < all.size() && all[last].object == object)
        ++last;
    return all.subspan(first, last - first);
}

} // namespace

void close_private_descriptors(Stub& stub) {
    for (int number : stub.header->descriptors)
        arch::syscall(__NR_close, number);
    for (const image::Descriptor& d : descriptors_of(stub, stub.nobody))
        arch::syscall(__NR_close, d.fd);
}

Descriptors descriptors_of(const Stub& stub, std::uint32_t object) {
    return part_for(descriptors_of(stub, *stub.process), object);
}

int set_aside(const Stub& stub, int fd, Descriptors descriptors, const char* name) {
    while (is_one_of(fd, descriptors)) {
        const long moved = arch::syscall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);
        if (moved < 0)
            fail(stub, int(-moved),
                 "cannot move a descriptor out of the way (raise the limit on open files, ulimit "
                 "-n):",
                 name);
        arch::syscall(__NR_close, fd);
        fd = int(moved);
    }
    return fd;
}

// The number at which it was opened is the lowest free one, which may be one of its own, or one
// that a later record wants: then it has moved on before.
void place(const Stub& stub, int opened, Descriptors descriptors, const char* name) {
    for (const image::Descriptor& d : descriptors) {
        const long r =
            d.fd == opened
                ? arch::syscall(__NR_fcntl, opened, F_SETFD, descriptor_flags(d, FD_CLOEXEC))
                : arch::syscall(__NR_dup3, opened, d.fd, descriptor_flags(d, O_CLOEXEC));
        if (r < 0)
            fail(stub, int(-r),
                 "cannot open a descriptor at the program's number (raise the limit on open files, "
                 "ulimit -n):",
                 name);
    }
    if (!is_one_of(opened, descriptors))
        arch::syscall(__NR_close, opened);
}

void place(const Stub& stub, int opened, const image::ObjectHeader& object) {
    place(stub, opened, descriptors_of(stub, object.id), string_at(stub, object.name));
}

// A standard stream that the image was started without is not there.
void take_descriptors(const Stub& stub) {
    const Descriptors common = descriptors_of(stub, stub.nobody);
    for (const image::Descriptor& d : descriptors_of(stub, *stub.process)) {
        const Descriptors made = part_for(common, d.object);
        const long r = made.empty() ? -EINVAL
                                    : arch::syscall(__NR_dup3, made.front().fd, d.fd,
                                                    descriptor_flags(d, O_CLOEXEC));
        if (r == -EINVAL)
            fail(stub, EBADMSG, "the image has a descriptor of something that is not made");
        if (r < 0 && arch::syscall(__NR_fcntl, made.front().fd, F_GETFD) >= 0)
            fail(stub, int(-r),
                 "cannot open a descriptor at the program's number (raise the limit on open files, "
                 "ulimit -n)");
    }
}

void close_temporary_descriptors(const Stub& stub) {
    for (const image::Descriptor& d : descriptors_of(stub, *stub.process))
        if (d.flags & image::descriptor_until_resumed)
            arch::syscall(__NR_close, d.fd);
}

namespace {

bool is_same_file(int a, int b) {
    struct statx of_a, of_b;
    const auto examine = [](int fd, struct statx& st) {
        return arch::syscall(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_INO, &st) >= 0;
    };
    return examine(a, of_a) && examine(b, of_b) && of_a.stx_ino == of_b.stx_ino &&
           of_a.stx_dev_major == of_b.stx_dev_major && of_a.stx_dev_minor == of_b.stx_dev_minor;
}

} // namespace

void close_early(Stub& stub, int fd) {
    const auto close = [fd](int number) {
        const bool does = number >= 0 && is_same_file(number, fd);
        if (does)
            arch::syscall(__NR_close, number);
        return does;
    };
    for (int* number : {&stub.image_fd, &stub.stream_fd[0], &stub.stream_fd[1], &stub.stream_fd[2]})
        if (close(*number))
            *number = -1;
    for (const image::Descriptor& d : descriptors_of(stub, stub.nobody))
        close(d.fd);
    for (const image::Descriptor& d : descriptors_of(stub, *stub.process))
        if (d.flags & image::descriptor_until_resumed)
            close(d.fd);
}

void set_status_flags(const Stub& stub, int fd, std::uint32_t flags, const char* name) {
    constexpr std::uint32_t settable = O_APPEND | O_DIRECT | O_NOATIME | O_NONBLOCK;
    if (!(flags & settable))
        return;
    if (long r = arch::syscall(__NR_fcntl, fd, F_SETFL, flags & settable); r < 0)
        fail(stub, int(-r), "cannot set the flags of", name);
}

} // namespace rfork::stub
