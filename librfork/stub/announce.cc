// What is told when the program is about to run: to whoever started the image, through the status
// pipe, and to the monitor, if there is one. Nothing depends on either.
#include "format/kinds.h"
#include "format/records/monitor.h"
#include "stub/stub.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/time.h>
#include <linux/utsname.h>

namespace rfork::stub {
namespace {

const kinds::MonitorRecord* find_monitor(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::monitor)
            return &as<kinds::MonitorRecord>(*record);
    return nullptr;
}

// A pipe that ends without a word means that the program never ran, so this is tried until it is
// said, or nobody is there to hear it. Whoever waits for it may have been killed; the program must
// not die of that, nor find a SIGPIPE it has not caused. (All signals are blocked here.)
void write_status(const Stub& stub, const image::StatusMessage& message) {
    long r;
    while ((r = arch::syscall(__NR_write, stub.status_fd, &message, sizeof message)) == -ENOMEM ||
           r == -EAGAIN || r == -EINTR) {
        const timespec moment{0, 1'000'000};
        arch::syscall(__NR_nanosleep, &moment, nullptr);
    }
    if (r != -EPIPE)
        return;
    const std::uint64_t pipe_signal = std::uint64_t(1) << (SIGPIPE - 1);
    const timespec at_once{};
    arch::syscall(__NR_rt_sigtimedwait, &pipe_signal, nullptr, &at_once, sizeof pipe_signal);
}

void tell_starter(const Stub& stub, const kinds::MonitorRecord* monitor) {
    image::StatusMessage message{};
    message.magic = image::status_magic;
    message.stage = Stage::resumed;
    message.pid = stub.outer_pid;
    copy_text(message.running, sizeof message.running, stub.running);
    if (monitor) {
        message.monitor_address = monitor->address;
        message.monitor_port = monitor->port;
        Text(message.program, sizeof message.program)
            << string_at(stub, monitor->name) << "[" << std::uint64_t(monitor->pid) << "]";
    }
    write_status(stub, message);
}

// One line to notifyd: "... resumed on HOST".
void tell_monitor(const Stub& stub, const kinds::MonitorRecord& record) {
    new_utsname uts{};
    arch::syscall(__NR_uname, &uts);
    char words[800];
    timespec now{};
    arch::syscall(__NR_clock_gettime, CLOCK_REALTIME, &now);
    const std::uint64_t ns = std::uint64_t(now.tv_sec) * 1000000000 + std::uint64_t(now.tv_nsec);
    // Clocks of two hosts may disagree by more than a hop takes.
    const std::uint64_t us = ns > record.dump_started ? (ns - record.dump_started) / 1000 : 0;
    Text text(words, sizeof words);
    text << string_at(stub, record.name) << "[" << std::uint64_t(record.pid) << "]: resumed on "
         << uts.nodename << " as pid " << std::uint64_t(stub.outer_pid) << ", " << us / 1000 << "."
         << us / 100 % 10 << " ms after the dump began";
    if (stub.log[0])
        text << "; output: " << stub.log;

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

void announce(Stub& stub) {
    const kinds::MonitorRecord* monitor = find_monitor(stub);
    if (stub.status_fd >= 0)
        tell_starter(stub, monitor);
    if (monitor)
        tell_monitor(stub, *monitor);
}

} // namespace rfork::stub
