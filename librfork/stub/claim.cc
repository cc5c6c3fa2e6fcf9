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

#include <asm/stat.h>
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

enum class Seen { there, missing, unclear };

Seen look(const Stub& stub, const char* name) {
    struct stat st;
    const long r = arch::syscall(__NR_newfstatat, stub.spool_fd, name, &st, AT_SYMLINK_NOFOLLOW);
    return r == 0 ? Seen::there : r == -ENOENT ? Seen::missing : Seen::unclear;
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
    const char* path = stub.ticket_directory;
    const long fd =
        path[0] ? arch::syscall(__NR_open, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                : -ENOENT;
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
    for (Pause pause;; pause.take()) {
        const long r =
            arch::syscall(__NR_renameat, stub.spool_fd, stub.ticket, stub.spool_fd, stub.running);
        if (r == 0)
            return 0;
        const Seen ours = look(stub, stub.running);
        if (ours == Seen::there)
            return 0;
        if (ours == Seen::missing && (r == -ENOENT || is_final(r)))
            return -r;
        if (r == -ESTALE)
            open_directory_again(stub);
    }
}

} // namespace

void claim(Stub& stub) {
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
