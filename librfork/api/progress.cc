#include "api/progress.h"

#include "arch/arch.h"
#include "base/clock.h"

#include <asm/ioctls.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::api {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

// By system calls: the program's errno is not ours to change.
bool is_our_terminal(int fd) {
    char settings[256]; // more than any struct termios of the kernel's
    std::int32_t foreground = 0;
    return arch::syscall(SYS_ioctl, fd, TCGETS, settings) == 0 &&
           (arch::syscall(SYS_ioctl, fd, TIOCGPGRP, &foreground) != 0 ||
            foreground == arch::syscall(SYS_getpgid, 0));
}

bool is_silenced() {
    const char* verbose = secure_getenv("RFORK_VERBOSE");
    return verbose && !std::strcmp(verbose, "0");
}

std::string size_text(std::uint64_t bytes) {
    constexpr double mega = 1 << 20, giga = 1 << 30;
    char text[32];
    if (double(bytes) < giga)
        std::snprintf(text, sizeof text, "%.0f MiB", double(bytes) / mega);
    else
        std::snprintf(text, sizeof text, "%.1f GiB", double(bytes) / giga);
    return text;
}

// A terminal that has been stopped (^S) must not stop the program.
void write_to_stderr(const std::string& text) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (arch::syscall(SYS_poll, &ready, 1, 0) != 1 || ready.revents != POLLOUT)
        return;
    arch::syscall(SYS_write, STDERR_FILENO, text.data(), text.size());
}

} // namespace

ProgressLine::ProgressLine()
    : wanted_(is_our_terminal(STDERR_FILENO) && !is_silenced()), began_(monotonic_ns()) {}

ProgressLine::~ProgressLine() {
    if (shown_)
        write_to_stderr("\r" + std::string(shown_, ' ') + "\r");
}

std::uint64_t ProgressLine::pause() const {
    return !wanted_ ? 0 : shown_ ? second / 5 : second;
}

void ProgressLine::show(const image::Progress& progress) {
    const std::uint64_t done = __atomic_load_n(&progress.done, __ATOMIC_RELAXED);
    const std::uint64_t all = __atomic_load_n(&progress.all, __ATOMIC_RELAXED);
    const std::uint64_t elapsed = monotonic_ns() - began_;
    if (elapsed < second || all == 0 || done > all || !is_our_terminal(STDERR_FILENO))
        return;
    const std::uint64_t rate = std::uint64_t(double(done) * double(second) / double(elapsed)) + 1;
    char name[17] = {};
    arch::syscall(SYS_prctl, PR_GET_NAME, name);
    std::string line = "freezing " + std::string(name) + ": " + size_text(done) + " of " +
                       size_text(all) + ", " + size_text(rate) + "/s, " +
                       std::to_string((all - done) / rate + 1) + " s left";
    const std::size_t size = line.size();
    if (size < shown_)
        line.append(shown_ - size, ' ');
    shown_ = size;
    write_to_stderr("\r" + line);
}

} // namespace rfork::api
