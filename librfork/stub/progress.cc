// A line for whoever sits in front of a terminal and waits for a large program:
//
//   resuming simulation: 412 MiB of 1.0 GiB, 190 MiB/s, 4 s left
//
// after a second, anew five times a second, and gone when the program goes on. It is written over
// with blanks, which every terminal knows.
#include "format/kinds.h"
#include "format/records/thread.h"
#include "stub/stub.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/unistd.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

constexpr std::uint64_t second = 1'000'000'000, first_line = second, next_line = second / 5;
constexpr std::uint64_t looked_at_each = 4 << 20; // bytes: what the clock is asked for

std::uint64_t now() {
    timespec time{};
    arch::syscall(__NR_clock_gettime, CLOCK_MONOTONIC, &time);
    return std::uint64_t(time.tv_sec) * second + std::uint64_t(time.tv_nsec);
}

bool is_terminal(int fd) {
    termios settings;
    return fd >= 0 && arch::syscall(__NR_ioctl, fd, TCGETS, &settings) == 0;
}

// Of its controlling terminal.
bool in_background(int terminal) {
    std::int32_t foreground = 0;
    return arch::syscall(__NR_ioctl, terminal, TIOCGPGRP, &foreground) == 0 &&
           foreground != arch::syscall(__NR_getpgid, 0);
}

std::uint64_t bytes_of_memory(const Stub& stub) {
    std::uint64_t bytes = 0;
    const auto* section = reinterpret_cast<const image::Section*>(stub.header + 1);
    for (std::uint32_t i = 0; i < stub.header->sections; ++i)
        if ((section[i].kind == image::SectionKind::extents &&
             section[i].owner == processes_of(stub).front().id) ||
            section[i].kind == image::SectionKind::shared_memory)
            for (const image::Extent& extent :
                 table<image::Extent>(stub, section[i].kind, section[i].owner))
                bytes += extent.size();
    return bytes;
}

const char* name_of_program(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::thread)
            return as<kinds::ThreadRecord>(*record).name;
    return "";
}

void write_size(Text& text, std::uint64_t bytes) {
    constexpr std::uint64_t mega = 1 << 20, giga = 1 << 30;
    if (bytes < giga)
        text << bytes / mega << " MiB";
    else
        text << bytes / giga << "." << bytes % giga * 10 / giga << " GiB";
}

void write_line(const Stub& stub, std::uint64_t elapsed) {
    Progress& progress = stub.progress;
    const std::uint64_t rate = progress.done * 1000 / (elapsed * 1000 / second + 1) + 1;
    char line[160];
    Text text(line, sizeof line);
    text << "\rresuming " << name_of_program(stub) << ": ";
    write_size(text, progress.done);
    text << " of ";
    write_size(text, progress.all);
    text << ", ";
    write_size(text, rate);
    text << "/s, " << (progress.all - progress.done) / rate + 1 << " s left";
    if (!takes_a_line(stub.stream_fd[2]))
        return;
    const unsigned size = text.size();
    for (unsigned i = size; i < progress.shown; ++i)
        text << " ";
    progress.shown = size;
    arch::syscall(__NR_write, stub.stream_fd[2], line, text.size());
}

} // namespace

void look_for_terminal(const Stub& stub) {
    const int errors = stub.stream_fd[2];
    stub.progress.wanted = stub.status_fd < 0 && is_terminal(errors) && !in_background(errors);
}

void begin_progress(const Stub& stub) {
    Progress& progress = stub.progress;
    if (!progress.wanted)
        return;
    progress.all = bytes_of_memory(stub);
    progress.began = now();
    progress.due = progress.began + first_line;
    progress.next_look = looked_at_each;
}

void count_progress(const Stub& stub, std::uint64_t bytes) {
    Progress& progress = stub.progress;
    progress.done += bytes;
    if (!progress.wanted || progress.done < progress.next_look)
        return;
    progress.next_look = progress.done + looked_at_each;
    const std::uint64_t time = now();
    if (time < progress.due)
        return;
    progress.due = time + next_line;
    write_line(stub, time - progress.began);
}

void end_progress(const Stub& stub) {
    char line[160];
    Text text(line, sizeof line);
    text << "\r";
    while (text.size() < stub.progress.shown)
        text << " ";
    text << "\r";
    if (stub.progress.shown && takes_a_line(stub.stream_fd[2]))
        arch::syscall(__NR_write, stub.stream_fd[2], line, text.size());
    stub.progress.shown = 0;
}

} // namespace rfork::stub
