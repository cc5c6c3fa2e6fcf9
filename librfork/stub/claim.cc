// The claim: the last stage, and the only one that may happen once.
//
// Many datagrams, several daemons and the caller itself may want this image at the same time; its
// ticket is a name that can be renamed once, and who renames it decides: a stub to
// "<ticket>.run.<attempt>...", which means that this copy runs, anybody else to "<ticket>.back",
// which means that none will (docs/protocol.md).
//
// What a file system answers is not what it has done. An NFS client that sends a rename again may
// be told ENOENT by a server that has done it already; one that gives up says EIO, and the server
// does it seconds later. So after an error only names count: our new name there means won, the old
// name gone without it means lost. While an error leaves open whether the rename is still on its
// way, the stub goes on asking: were it to end, its ticket could be won by a process that is no
// more.
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/utsname.h>

namespace rfork::stub {
namespace {

constexpr std::int64_t first_pause_ns = 1'000'000, longest_pause_ns = 200'000'000;

void choose_attempt(Stub& stub) {
    static constexpr char digits[] = "0123456789abcdef";
    std::uint8_t random[image::id_digits / 2];
    for (unsigned got = 0; got < sizeof random;) {
        const long r = arch::syscall(__NR_getrandom, random + got, sizeof random - got, 0);
        if (r < 0 && r != -EINTR)
            fail(stub, int(-r), "cannot choose a random name for this attempt (getrandom(2))");
        got += r > 0 ? unsigned(r) : 0;
    }
    for (unsigned i = 0; i < image::id_digits; ++i)
        stub.attempt[i] = digits[random[i / 2] >> (i % 2 ? 0 : 4) & 15];
}

// As a part of a file name.
void host_name(char (&name)[65]) {
    new_utsname uts{};
    arch::syscall(__NR_uname, &uts);
    for (unsigned i = 0; i < sizeof name; ++i)
        name[i] = uts.nodename[i] == '/' || (uts.nodename[i] && uts.nodename[i] < ' ')
                      ? '_'
                      : uts.nodename[i];
}

void name_attempt(Stub& stub) {
    if (!stub.attempt[0])
        choose_attempt(stub);
    char host[65];
    host_name(host);
    Text(stub.running, sizeof stub.running) << stub.ticket << image::running_mark << stub.attempt
                                            << "." << host << "." << std::uint64_t(stub.outer_pid);
}

// What has become of the ticket, as the directory lists it: of all questions about a name that was
// looked up before, an NFS client answers only this one anew.
struct Seen {
    bool ticket = false;
    bool ours = false;   // won by this attempt; its caller may have acknowledged that already
    bool unclear = true; // no answer
};

// ".run.<attempt>" or ".ack.<attempt>", then a dot.
bool is_of_attempt(const Stub& stub, const char* mark_and_rest, const char* mark) {
    if (!starts_with(mark_and_rest, mark))
        return false;
    mark_and_rest += length(mark);
    return starts_with(mark_and_rest, stub.attempt) && mark_and_rest[length(stub.attempt)] == '.';
}

void look_at(const Stub& stub, const char* name, Seen& seen) {
    if (!starts_with(name, stub.ticket))
        return;
    const char* rest = name + length(stub.ticket);
    seen.ticket = seen.ticket || !*rest;
    seen.ours = seen.ours || is_of_attempt(stub, rest, image::running_mark) ||
                is_of_attempt(stub, rest, image::acknowledged_mark);
}

Seen look(const Stub& stub) {
    constexpr unsigned size_at = 16, name_at = 19; // in struct linux_dirent64 of getdents64(2)
    alignas(8) char buffer[4096];
    Seen seen;
    if (arch::syscall(__NR_lseek, stub.spool_fd, 0, 0) < 0)
        return seen;
    long got;
    while ((got = arch::syscall(__NR_getdents64, stub.spool_fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            look_at(stub, buffer + at + name_at, seen);
            at += *reinterpret_cast<const std::uint16_t*>(buffer + at + size_at);
        }
    }
    seen.unclear = got < 0 && got != -ENOENT; // ENOENT: the directory itself has been removed
    return seen;
}

// Said by this host or by the server about this very call: it is not on its way any more.
bool is_final(long error) {
    switch (-error) {
    case EPERM:
    case EACCES:
    case EROFS:
    case ENOSPC:
    case EDQUOT:
    case ENAMETOOLONG:
    case ENOTDIR:
    case ENOSYS:
        return true;
    }
    return false;
}

// One that was opened before its server started anew may be stale; by path there may be another.
void open_directory_again(const Stub& stub) {
    const long fd = open_ticket_directory(stub);
    if (fd < 0)
        return;
    arch::syscall(__NR_dup3, fd, stub.spool_fd, O_CLOEXEC);
    arch::syscall(__NR_close, fd);
}

class Pause {
  public:
    void take() {
        const struct { std::int64_t s, ns; } time = {0, ns_};
        arch::syscall(__NR_nanosleep, &time, nullptr);
        ns_ = ns_ * 2 < longest_pause_ns ? ns_ * 2 : longest_pause_ns;
    }

  private:
    std::int64_t ns_ = first_pause_ns;
};

// 0: won. ENOENT: somebody else has, or the ticket is gone. Else: it cannot be had on this host.
long win(Stub& stub) {
    bool may_be_on_its_way = false, said = false;
    const Deadline first_notice(2);
    for (Pause pause;; pause.take()) {
        const long r =
            arch::syscall(__NR_renameat, stub.spool_fd, stub.ticket, stub.spool_fd, stub.running);
        if (r == 0)
            return 0;
        may_be_on_its_way = may_be_on_its_way || (r != -ENOENT && !is_final(r));
        const Seen seen = look(stub);
        if (seen.ours)
            return 0;
        if (!seen.unclear && !seen.ticket)
            return ENOENT; // and without its source, no rename can come late
        if (!seen.unclear && is_final(r) && !may_be_on_its_way)
            return -r;
        if (r == -ESTALE)
            open_directory_again(stub);
        if (!said && first_notice.passed()) {
            said = true;
            note(stub, "waits for the spool to tell whether this copy may run:", stub.ticket);
        }
    }
}

} // namespace

void win_ticket(Stub& stub) {
    if (!(stub.header->flags & image::flag_travels))
        return;
    stub.stage = Stage::claim;
    name_attempt(stub);
    const long error = win(stub);
    if (error == ENOENT)
        fail(stub, ECANCELED,
             "the image travels and runs once: it has run already, or was given up; ticket",
             stub.ticket);
    if (error)
        fail(stub, int(error),
             "cannot rename the ticket, which an image that travels must win:", stub.ticket);
}

} // namespace rfork::stub
