// CLOCK_MONOTONIC and CLOCK_BOOTTIME count from the start of a machine. A program that is resumed
// on another one, or here after days, would see them jump, or run backwards, which they never do.
//
// A time namespace adds an offset to both, in the vDSO as in the system call. The offsets in
// /proc/self/timens_offsets are relative to the machine's own clocks, wherever we are; so what is
// to be added goes on top of what is there. A process that has just made a time namespace is not in
// it yet, its children will be; with setns(2) it can follow.
//
// A gap of up to a second is none: the same machine, a short while later, as if the process had not
// been scheduled. If there are no time namespaces, the clocks are those of the machine, and what
// depends on them is rebased by those who restore it (Stub::monotonic_shift).
#include "stub/identity.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/sched.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr char offsets_file[] = "/proc/self/timens_offsets";

std::int64_t now(int clock) {
    timespec time{};
    arch::syscall(__NR_clock_gettime, clock, &time);
    return time.tv_sec * second + time.tv_nsec;
}

bool is_short(std::int64_t gap) {
    return gap >= 0 && gap <= second;
}

struct Offsets {
    std::int64_t monotonic = 0, boottime = 0;
};

bool parse_signed(const char*& text, std::int64_t& value) {
    while (*text == ' ')
        ++text;
    const bool negative = *text == '-';
    text += negative;
    std::uint64_t magnitude;
    if (!parse_unsigned(text, magnitude, 10))
        return false;
    value = negative ? -std::int64_t(magnitude) : std::int64_t(magnitude);
    return true;
}

// "monotonic  SECONDS NANOSECONDS\n" and "boottime ...", in any order.
long read_offsets(Offsets& offsets) {
    char text[256];
    const long fd = arch::syscall(__NR_open, offsets_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    const long size = arch::syscall(__NR_read, fd, text, sizeof text - 1);
    arch::syscall(__NR_close, fd);
    if (size < 0)
        return size;
    text[size] = '\0';
    for (const char* at = text; *at; ++at) {
        std::int64_t* offset = starts_with(at, "monotonic")  ? &offsets.monotonic
                               : starts_with(at, "boottime") ? &offsets.boottime
                                                             : nullptr;
        while (*at && *at != ' ' && *at != '\n')
            ++at;
        std::int64_t seconds, nanoseconds;
        if (offset && parse_signed(at, seconds) && parse_signed(at, nanoseconds))
            *offset = seconds * second + nanoseconds;
        while (*at && *at != '\n')
            ++at;
        if (!*at)
            break;
    }
    return 0;
}

void append(Text& text, const char* clock, std::int64_t offset) {
    std::int64_t seconds = offset / second, nanoseconds = offset % second;
    if (nanoseconds < 0) {
        --seconds;
        nanoseconds += second;
    }
    text << clock << (seconds < 0 ? " -" : " ") << std::uint64_t(seconds < 0 ? -seconds : seconds)
         << " " << std::uint64_t(nanoseconds) << "\n";
}

// The kernel takes no offset with which a clock would be negative or centuries old (ERANGE); a
// record that would need one is not of this kernel's making.
long write_offsets(const kinds::ProcessRecord& record, const Offsets& before) {
    const long fd = arch::syscall(__NR_open, offsets_file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    char words[128];
    Text text(words, sizeof words);
    append(text, "monotonic", before.monotonic + record.monotonic - now(CLOCK_MONOTONIC));
    append(text, "boottime", before.boottime + record.boottime - now(CLOCK_BOOTTIME));
    const long written = arch::syscall(__NR_write, fd, words, text.size());
    arch::syscall(__NR_close, fd);
    return written < 0 ? written : 0;
}

long follow_children() {
    const long fd =
        arch::syscall(__NR_open, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    const long r = arch::syscall(__NR_setns, fd, CLONE_NEWTIME);
    arch::syscall(__NR_close, fd);
    return r;
}

// Where AppArmor lets users make user namespaces, but gives them no rights there, one is a trap: a
// process cannot even say who it is in it, nor leave it.
bool user_namespaces_are_traps() {
    const long fd = arch::syscall(
        __NR_open, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", O_RDONLY | O_CLOEXEC);
    char value = '0';
    if (fd >= 0) {
        arch::syscall(__NR_read, fd, &value, 1);
        arch::syscall(__NR_close, fd);
    }
    return value != '0';
}

} // namespace

bool Clocks::are_continuous() const {
    return is_short(now(CLOCK_MONOTONIC) - record_.monotonic) &&
           is_short(now(CLOCK_BOOTTIME) - record_.boottime);
}

long Clocks::continue_in_children() {
    Offsets before;
    long r = read_offsets(before);
    if (r == 0)
        r = arch::syscall(__NR_unshare, CLONE_NEWTIME);
    return r == 0 ? write_offsets(record_, before) : r;
}

void Clocks::continue_here(Stub& stub) {
    if (are_continuous())
        return;
    stub.rights = read_rights();
    Offsets before;
    long r = read_offsets(before);
    if (r == 0)
        r = arch::syscall(__NR_unshare, CLONE_NEWTIME);
    if (r == -EPERM && !user_namespaces_are_traps()) {
        r = enter_user_namespace(stub, CLONE_NEWTIME);
        if (r < 0 && stub.borrowed_rights)
            fail(stub, int(-r),
                 "cannot name the user in the user namespace that keeps the program's clocks "
                 "continuous: let users have user namespaces with rights in them, or none "
                 "(sysctl user.max_user_namespaces=0)");
    }
    if (r == 0)
        r = write_offsets(record_, before);
    if (r == 0)
        r = follow_children();
    if (r < 0)
        rebase(stub);
    if (stub.borrowed_rights)
        limit_rights(stub, stub.rights, 0);
}

void Clocks::rebase(Stub& stub) const {
    stub.monotonic_shift = now(CLOCK_MONOTONIC) - record_.monotonic;
    stub.boottime_shift = now(CLOCK_BOOTTIME) - record_.boottime;
}

} // namespace rfork::stub
