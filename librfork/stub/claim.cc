// The claim: the last stage, and the only one that may happen once.
//
// Many datagrams, several daemons and the caller itself may want this image at the same time; the
// exclusive create of "<image>.claim" beside it lets one of them win. A claim is removed by the
// caller once all is over, and the image before that; so a straggler that creates the claim anew
// finds the image gone, or without a link, and must not run. (An open by name of an NFS file that
// this very process holds open may go by file handle; the link count it brings back is fresh.)
#include "stub/stub.h"

#include "kinds/monitor/record.h"

#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/time.h>
#include <linux/utsname.h>

namespace rfork::stub {
namespace {

void host_name(char (&name)[65]) {
    new_utsname uts{};
    arch::syscall(__NR_uname, &uts);
    for (unsigned i = 0; i < sizeof name; ++i)
        name[i] = uts.nodename[i];
}

bool image_still_there(const Stub& stub) {
    struct stat ours, named;
    const long fd = arch::syscall(__NR_openat, stub.spool_fd, stub.image_name,
                                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    const bool there = arch::syscall(__NR_fstat, fd, &named) == 0 &&
                       arch::syscall(__NR_fstat, stub.image_fd, &ours) == 0 && named.st_nlink > 0 &&
                       named.st_ino == ours.st_ino;
    arch::syscall(__NR_close, fd);
    return there;
}

// One line to notifyd, if the caller wanted one: "... resumed on HOST".
void tell_monitor(const Stub& stub, const kinds::MonitorRecord& record) {
    char host[65], words[256];
    host_name(host);
    timespec now{};
    arch::syscall(__NR_clock_gettime, CLOCK_REALTIME, &now);
    const std::uint64_t ns = std::uint64_t(now.tv_sec) * 1000000000 + std::uint64_t(now.tv_nsec);
    // Clocks of two hosts may disagree by more than a hop takes.
    const std::uint64_t us = ns > record.dump_started ? (ns - record.dump_started) / 1000 : 0;
    Text text(words, sizeof words);
    text << string_at(stub, record.name) << "[" << std::uint64_t(record.pid) << "]: resumed on "
         << host << " as pid " << std::uint64_t(stub.outer_pid) << ", " << us / 1000 << "."
         << us / 100 % 10 << " ms after the dump began";

    sockaddr_in to{};
    to.sin_family = 2; // AF_INET
    to.sin_port = record.port;
    to.sin_addr.s_addr = record.address;
    const long fd = arch::syscall(__NR_socket, 2, 2 | 04000, 0); // SOCK_DGRAM | SOCK_NONBLOCK
    if (fd < 0)
        return;
    arch::syscall(__NR_sendto, fd, words, text.size(), 0, &to, sizeof to);
    arch::syscall(__NR_close, fd);
}

} // namespace

void claim(Stub& stub) {
    if (!stub.claims)
        return;
    stub.stage = Stage::claim;

    char name[sizeof stub.image_name + sizeof image::claim_suffix];
    Text(name, sizeof name) << stub.image_name << image::claim_suffix;
    const long fd = arch::syscall(__NR_openat, stub.spool_fd, name,
                                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        fail(stub, int(-fd), "cannot claim the image", stub.image_name);
    if (!image_still_there(stub)) {
        arch::syscall(__NR_unlinkat, stub.spool_fd, name, 0);
        fail(stub, ECANCELED, "the image was taken away before the program could run",
             stub.image_name);
    }

    // For whoever asks later; a claim without words is a claim all the same.
    char host[65], words[128];
    host_name(host);
    Text text(words, sizeof words);
    text << std::uint64_t(stub.outer_pid) << " " << host << "\n";
    arch::syscall(__NR_write, fd, words, text.size());
    arch::syscall(__NR_close, fd);
}

void announce(Stub& stub) {
    if (stub.claims) {
        image::StatusMessage message{};
        message.magic = image::status_magic;
        message.stage = Stage::resumed;
        message.pid = stub.outer_pid;
        // Whoever waits for this may have been killed; the program must not die of that, nor find a
        // SIGPIPE it has not caused. (All signals are blocked here.)
        if (arch::syscall(__NR_write, stub.status_fd, &message, sizeof message) == -EPIPE) {
            const std::uint64_t pipe_signal = std::uint64_t(1) << (SIGPIPE - 1);
            const timespec at_once{};
            arch::syscall(__NR_rt_sigtimedwait, &pipe_signal, nullptr, &at_once,
                          sizeof pipe_signal);
        }
    }
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::monitor)
            tell_monitor(stub, as<kinds::MonitorRecord>(*record));
}

} // namespace rfork::stub
